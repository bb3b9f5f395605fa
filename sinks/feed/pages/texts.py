"""The words on the pages, in Vietnamese and English."""

from collections.abc import Mapping

LANGUAGES = ("vi", "en")

# Decision 293/QĐ-TTg names nine domains; a catalogue with others shows their codes.
DOMAINS: Mapping[str, tuple[str, str]] = {
    "1": ("Tăng trưởng kinh tế", "Growth"),
    "2": ("Tài chính công", "Public finance"),
    "3": ("Ổn định kinh tế vĩ mô", "Macroeconomic stability"),
    "4": ("Môi trường kinh doanh", "Business environment"),
    "5": ("Lao động, việc làm", "Labour and jobs"),
    "6": ("Xã hội", "Social"),
    "7": ("Môi trường", "Environment"),
    "8": ("Hành chính phục vụ người dân", "Administration for citizens"),
    "9": ("Hạ tầng, khoa học và công nghệ", "Infrastructure, science and technology"),
}

STATUSES: Mapping[str, tuple[str, str]] = {
    "A": ("Chính thức", "Normal"),
    "B": ("Gián đoạn chuỗi", "Break in series"),
    "E": ("Ước tính", "Estimated"),
    "F": ("Dự báo", "Forecast"),
    "I": ("Suy đoán", "Imputed"),
    "M": ("Chưa báo cáo", "Not reported"),
    "P": ("Sơ bộ", "Provisional"),
}

FLAGS: Mapping[str, tuple[str, str]] = {
    "SUM_MISMATCH": ("Tổng không khớp", "Parts do not add up"),
    "NOT_MONOTONE": ("Lũy kế giảm", "Cumulative figure fell"),
}

KINDS: Mapping[str, tuple[str, str]] = {
    "flow": ("Lượng phát sinh trong kỳ", "Flow"),
    "stock": ("Lượng tại thời điểm", "Stock"),
    "level": ("Mức", "Level"),
    "ratio": ("Tỷ lệ", "Ratio"),
    "index": ("Chỉ số", "Index"),
    "cumulative": ("Lũy kế", "Cumulative"),
}

FREQUENCIES: Mapping[str, tuple[str, str]] = {
    "hourly": ("Hằng giờ", "Hourly"),
    "six_hourly": ("6 giờ một lần", "Every six hours"),
    "daily": ("Hằng ngày", "Daily"),
    "monthly": ("Hằng tháng", "Monthly"),
    "quarterly": ("Hằng quý", "Quarterly"),
    "semiannual": ("6 tháng một lần", "Every six months"),
    "annual": ("Hằng năm", "Annual"),
}

WORDS: Mapping[str, tuple[str, str]] = {
    "title": ("Báo cáo chỉ tiêu hằng ngày", "Daily indicator report"),
    "coverage": ("Mức độ kết nối", "Coverage"),
    "day": ("Ngày", "Day"),
    "show": ("Xem", "Show"),
    "indicator": ("Chỉ tiêu", "Indicator"),
    "period": ("Kỳ", "Period"),
    "value": ("Giá trị", "Value"),
    "unit": ("Đơn vị", "Unit"),
    "status": ("Trạng thái", "Status"),
    "areas": ("Địa bàn báo cáo", "Areas reported"),
    "updated": ("Cập nhật", "Updated"),
    "area": ("Địa bàn", "Area"),
    "min": ("Nhỏ nhất", "Least"),
    "max": ("Lớn nhất", "Greatest"),
    "total": ("Tổng số", "Total"),
    "domain": ("Lĩnh vực", "Domain"),
    "domains": ("Các lĩnh vực", "Domains"),
    "pages": ("Các trang", "Pages"),
    "counted": ("Tính lúc {when}.", "As counted at {when}."),
    "live": ("Đang cập nhật trực tiếp.", "Live: figures change as they arrive."),
    "waiting": (
        "Mất kết nối từ {since}; đang thử lại, số liệu có thể đã cũ.",
        "Not live since {since}; trying again, the figures may be old.",
    ),
    "loading": ("Đang tải…", "Loading…"),
    "missing": ("Chưa có số liệu", "No figures yet"),
    "script": (
        "Trang này cần JavaScript; số liệu cũng có ở /v1/daily/.",
        "This page needs JavaScript; the figures are at /v1/daily/ too.",
    ),
    "agency": ("Cơ quan", "Agency"),
    "electronic": ("Điện tử", "Electronic"),
    "direct_entry": ("Nhập trực tiếp", "Direct entry"),
    "connected": ("Đã kết nối", "Connected"),
    "live_count": ("Đang có số liệu", "Live"),
    "to_connect": ("Chưa kết nối", "To connect"),
    "all_agencies": ("Tất cả cơ quan", "All agencies"),
    "kind": ("Loại", "Kind"),
    "frequency": ("Tần suất", "Frequency"),
    "back": ("Về báo cáo ngày", "To the daily report of"),
}


def chosen(texts: Mapping[str, tuple[str, str]], language: str) -> dict[str, str]:
    """Give the texts of one language."""
    place = LANGUAGES.index(language)
    return {name: pair[place] for name, pair in texts.items()}
