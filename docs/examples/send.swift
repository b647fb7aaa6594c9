// Swift 5, Foundation alone: swiftc send.swift && ./send
import Foundation
#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

enum SendError: Error { case refused(String), away }

/// Sends one event; returns when it is stored. The same id in each attempt: an event counts once.
func send(_ event: [String: Any]) throws {
    let environment = ProcessInfo.processInfo.environment
    var whole = event
    whole["event_id"] = UUID().uuidString
    whole["ts"] = Int(Date().timeIntervalSince1970 * 1000)
    var request = URLRequest(url: URL(string: environment["DOOR"]! + "/v1/events")!, timeoutInterval: 15)
    request.httpMethod = "POST"
    request.setValue("Bearer " + environment["KEY"]!, forHTTPHeaderField: "Authorization")
    request.httpBody = try JSONSerialization.data(withJSONObject: whole)
    for attempt in 0..<8 {
        var status = 0, said = ""
        let answered = DispatchSemaphore(value: 0)
        URLSession.shared.dataTask(with: request) { body, answer, _ in
            status = (answer as? HTTPURLResponse)?.statusCode ?? 0
            said = String(decoding: body ?? Data(), as: UTF8.self)
            answered.signal()
        }.resume()
        answered.wait()
        if status == 200 { return }
        // 0: no answer came. The event may be stored or not; sent again it counts once.
        if ![0, 429, 503].contains(status) { throw SendError.refused(said) }
        Thread.sleep(forTimeInterval: 0.1 * Double(1 << attempt))
    }
    throw SendError.away
}

try send(["event": "purchase", "user_id": "swift-user",
          "properties": ["order_id": "swift-1", "amount": 19.9] as [String: Any]])
