// Go 1.19, without a library: go run send.go
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

var client = &http.Client{Timeout: 15 * time.Second}

// send sends one event and returns when it is stored. The same id in each attempt: an event counts once.
func send(event map[string]any) error {
	id := make([]byte, 16)
	rand.Read(id)
	event["event_id"], event["ts"] = fmt.Sprintf("%x", id), time.Now().UnixMilli()
	body, err := json.Marshal(event)
	for attempt := 0; err == nil && attempt < 8; attempt++ {
		request, _ := http.NewRequest("POST", os.Getenv("DOOR")+"/v1/events", bytes.NewReader(body))
		request.Header.Set("Authorization", "Bearer "+os.Getenv("KEY"))
		if answer, lost := client.Do(request); lost == nil {
			said, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			if answer.StatusCode == 200 {
				return nil
			} else if answer.StatusCode != 429 && answer.StatusCode != 503 {
				return fmt.Errorf("%s", said) // the event is wrong: it says why
			}
		}
		time.Sleep(100 * time.Millisecond << attempt)
		if attempt == 7 {
			err = fmt.Errorf("the front door is away")
		}
	}
	return err
}

func main() {
	bought := map[string]any{"order_id": "go-1", "amount": 19.9}
	if err := send(map[string]any{"event": "purchase", "user_id": "go-user", "properties": bought}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
