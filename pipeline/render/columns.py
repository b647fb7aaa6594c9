"""Columns of metrics as people read them, and how their numbers are written."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, Literal

#: Chinese names; a column that is missing here keeps its own.
CHINESE: Final = {
    "acceptance_rate": "接受率", "accepted": "接受数", "active": "活跃人数", "active_days": "活跃天数", "active_users": "活跃用户",
    "activated": "激活人数", "activated_rate": "激活率", "actor": "用户", "age": "内容天数", "also_in_another": "同时在其他组",
    "answered": "已回答", "answered_unasked": "未展示而回答", "answers": "回答数", "arppu": "付费用户均收入", "arpu": "用户均收入",
    "average_order": "客单价", "bounce_rate": "跳出率", "bracket": "区间", "brought": "带来人数", "buyers": "买家数", "by": "维度值",
    "cac": "获客成本", "came": "受邀到达", "campaign": "活动", "change": "变化", "channel": "渠道", "chi_squared": "卡方值",
    "churn_rate": "流失率", "churned": "流失人数", "classic": "经典留存人数", "classic_rate": "经典留存率", "click_rate": "点击率",
    "clicks": "点击数", "code": "券码", "cohort": "同期群", "comment_rate": "评论率", "compare_from_previous": "对比期转化",
    "compare_users": "对比期人数", "compared_conversion": "对比组购买率", "compared_revenue_per_user": "对比组人均收入",
    "compared_users": "对比组人数", "comparison": "对比方式", "completion_rate": "完成率", "conversion": "转化率", "converted": "转化人数",
    "cost": "成本", "cost_per_buyer": "每买家成本", "cost_per_registration": "每注册成本", "cpc": "单次点击成本", "cpm": "千次展示成本",
    "created": "创作数", "creator": "创作者", "creators": "创作者数", "ctr": "点击率", "cumulative_share": "累计占比", "dau": "日活",
    "day": "日期", "days": "天数", "days_away": "离开天数", "days_per_user": "人均天数", "depth": "层级", "detractors": "贬损者",
    "difference": "差值", "difference_high": "差值上限", "difference_low": "差值下限", "discount": "优惠额", "discount_share": "优惠占比",
    "dormant": "沉默", "dropped": "流失人数", "ecpm": "千次展示收入", "ends": "结束", "event": "事件", "events": "事件数",
    "events_per_session": "每会话事件数", "events_per_user": "人均事件数", "expected": "预期人数", "experiment": "实验",
    "extra_revenue": "增量收入", "first": "首次", "first_day": "首次日期", "first_orders": "首购订单", "first_revenue": "首触收入",
    "first_seen": "首次出现", "frequency": "频次分", "from_first": "占首步", "from_previous": "占上一步", "gmv": "成交额",
    "growth": "增长", "high_value_users": "高价值用户", "hour": "小时", "impressions": "展示数", "inviter": "邀请人", "inviters": "邀请人数",
    "invites_per_user": "人均邀请", "items": "内容数", "joined": "加入日期", "k_factor": "K 因子", "kind": "类型", "last": "最近",
    "last_day": "最近日期", "last_orders": "末触订单", "last_paid_day": "最近付费日", "last_revenue": "末触收入", "last_seen": "最近出现",
    "like_rate": "点赞率", "lost_users": "多流失人数", "ltv": "生命周期价值", "margin": "误差", "mau": "月活", "mde": "最小可检差异",
    "mean_orders": "平均订单数", "mean_recency_days": "平均距今天数", "mean_score": "平均分", "mean_seconds": "平均用时",
    "mean_value": "人均价值", "median_days_between": "购买间隔中位", "median_hours": "中位小时", "median_seconds": "中位用时",
    "mismatch": "分流异常", "monetary": "金额分", "month": "月", "n": "第 n 期", "name": "名称", "new": "新增", "new_users": "新用户", "next_day_rate": "次日留存率",
    "next": "下一事件", "nps": "净推荐值", "nps_high": "净推荐值上限", "nps_low": "净推荐值下限", "orders": "订单数", "orders_per_buyer": "人均订单", "p90_hours": "90 分位小时",
    "p90_seconds": "90 分位用时", "p_value": "p 值", "paid": "付费人数", "paid_rate": "付费率", "participants": "参与人数",
    "passives": "中立者", "path": "路径", "payback_day": "回本天数", "paying": "付费人数", "paying_rate": "付费率", "penetration": "渗透率",
    "period": "周期", "platform": "平台", "promoters": "推荐者", "quick_ratio": "速动比", "rate": "比率", "ratio": "比值",
    "reactions": "互动数", "reactions_per_view": "每次浏览互动", "readers": "读者数", "recency": "最近分", "recency_days": "距今天数",
    "recovered": "已回本", "refunds": "退款", "registered": "注册人数", "registered_rate": "注册率", "repeat_buyers": "复购买家",
    "retained_rate": "第 N 日留存率", "repeat_rate": "复购率", "response_rate": "回答率", "resurrected": "回流", "returned_rate": "回访率", "returning": "回访",
    "returning_buyers": "老买家", "returning_rate": "老买家占比", "revenue": "收入", "revenue_per_user": "人均收入", "roas": "广告回报",
    "roi": "投资回报", "rolling": "滚动留存人数", "rolling_rate": "滚动留存率", "score": "评分", "segment": "分群", "sent": "发出数",
    "sessions": "会话数", "sessions_per_user": "人均会话", "share": "占比", "share_rate": "分享率", "share_seen": "实际占比",
    "shown": "展示数", "spend": "花费", "starts": "开始", "step": "步骤", "stickiness": "粘性", "survey": "问卷", "t": "t 值",
    "t_p_value": "t 检验 p 值", "time_in_app_seconds": "使用时长", "times": "次数", "too_few": "样本过少", "up_to_seconds": "用时上限", "users": "用户数",
    "users_before": "上期用户", "uses": "使用次数", "value": "取值", "value_difference": "价值差", "value_difference_high": "价值差上限",
    "value_difference_low": "价值差下限", "variant": "实验组", "viewers": "浏览人数", "views": "浏览数", "views_per_item": "每内容浏览",
    "views_per_reader": "人均浏览", "wau": "周活", "week": "周", "weekday": "星期", "whole": "是否完整", "within": "时间内",
    "worst": "最差", "z": "z 值",
    # fields of events that are no columns of metrics
    "app_version": "应用版本", "bot": "爬虫", "browser": "浏览器", "city": "城市", "country": "国家/地区", "device": "设备",
    "language": "语言", "os": "操作系统", "referrer": "来源页", "region": "省份/地区", "source": "数据源",
}  # fmt: skip

#: The last word of columns that are shares, and whole names that are.
SHARE_WORDS: Final = frozenset({"rate", "share", "penetration", "stickiness", "conversion", "ctr"})
SHARE_NAMES: Final = frozenset(
    {
        "difference",
        "difference_low",
        "difference_high",
        "mde",
        "from_first",
        "from_previous",
        "compare_from_previous",
        "share_seen",
        "change",
    }
)
#: The last word of columns that are amounts.
MONEY_WORDS: Final = frozenset(
    {
        "amount",
        "revenue",
        "gmv",
        "spend",
        "cost",
        "ltv",
        "arpu",
        "arppu",
        "cac",
        "ecpm",
        "cpc",
        "cpm",
        "refunds",
        "discount",
        "monetary_value",
    }
)
MONEY_NAMES: Final = frozenset(
    {"average_order", "mean_value", "value_difference", "value_difference_low", "value_difference_high", "revenue_per_user",
     "compared_revenue_per_user", "cost_per_buyer", "cost_per_registration"}
)  # fmt: skip

Unit = Literal["share", "milliseconds", "seconds", "money", "count", "number"]


def unit_of(name: str, sample: Any = None) -> Unit:
    """What the numbers of a column are; `sample` is one of them. A share is 0.25 for a quarter."""
    last = name.split("_")[-1]
    if name in SHARE_NAMES or (last in SHARE_WORDS and not isinstance(sample, int)):
        return "share"
    if last == "ms":
        return "milliseconds"
    if last in ("seconds", "s"):
        return "seconds"
    if isinstance(sample, Decimal) or last in MONEY_WORDS or name in MONEY_NAMES:
        return "money"
    return "count" if isinstance(sample, int) else "number"
