"""Numbers, dates, money, units and addresses in words, in Chinese (cn2an) and English (num2words)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_DIGITS_ZH = dict(zip("0123456789", "零一二三四五六七八九", strict=True))
_DIGIT_NAMES = "zero one two three four five six seven eight nine"
_DIGITS_EN = dict(zip("0123456789", _DIGIT_NAMES.split(), strict=True))
_MONTH_NAMES = "January February March April May June July August September October November December"
_MONTHS = _MONTH_NAMES.split()
_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"

_URL = re.compile(r"(?:https?://|www\.)([^\s/，。！？；：、]+)(/[^\s，。！？；：、]*)?", re.IGNORECASE)
_EMAIL = re.compile(r"\b([\w.+-]+)@([\w-]+(?:\.[\w-]+)+)", re.ASCII)
_DATE = re.compile(r"(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
_TIME = re.compile(r"(?<![\d:])([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?![\d:])")
_PERCENT = re.compile(rf"({_NUMBER})\s?[%％]")
_VERSION = re.compile(r"(?<![\d.])\d+(?:\.\d+){2,}(?![\d.])")
_LONG = re.compile(r"(?<![\d.,])(?:0\d+|\d{8,})(?![\d,]|\.\d)")
_PHONE = re.compile(r"(?<!\d)\+?\d{2,4}(?:[- ]\d{3,4}){2,}(?!\d)")
_RANGE = re.compile(rf"(?<![\d.])({_NUMBER})\s?[-~–—～]\s?({_NUMBER})(?![\d.-])")
_MINUS = re.compile(rf"(?<![A-Za-z\d.)])[-−]({_NUMBER})")
_PLAIN = re.compile(rf"(?<![A-Za-z\d]){_NUMBER}(?![A-Za-z\d])")

_UNITS: dict[str, tuple[str, str]] = {
    "km/h": ("公里每小时", "kilometers per hour"),
    "m/s": ("米每秒", "meters per second"),
    "°C": ("摄氏度", "degrees Celsius"),
    "℃": ("摄氏度", "degrees Celsius"),
    "°F": ("华氏度", "degrees Fahrenheit"),
    "m²": ("平方米", "square meters"),
    "km²": ("平方公里", "square kilometers"),
    "km": ("公里", "kilometers"),
    "cm": ("厘米", "centimeters"),
    "mm": ("毫米", "millimeters"),
    "kg": ("公斤", "kilograms"),
    "mg": ("毫克", "milligrams"),
    "ml": ("毫升", "milliliters"),
    "mL": ("毫升", "milliliters"),
    "GB": ("G B", "gigabytes"),
    "MB": ("兆", "megabytes"),
    "TB": ("T B", "terabytes"),
    "kHz": ("千赫兹", "kilohertz"),
    "Hz": ("赫兹", "hertz"),
    "fps": ("帧每秒", "frames per second"),
    "ms": ("毫秒", "milliseconds"),
    "min": ("分钟", "minutes"),
    "m": ("米", "meters"),
    "g": ("克", "grams"),
    "s": ("秒", "seconds"),
    "h": ("小时", "hours"),
    "W": ("瓦", "watts"),
    "V": ("伏", "volts"),
}
_UNIT_SIGNS = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True))
_UNIT = re.compile(rf"(?<![A-Za-z\d])({_NUMBER})\s?({_UNIT_SIGNS})(?![A-Za-z\d/²])")
_CURRENCY: dict[str, tuple[str, str, str, str]] = {
    "$": ("美元", "dollar", "dollars", "cent"),
    "US$": ("美元", "dollar", "dollars", "cent"),
    "€": ("欧元", "euro", "euros", "cent"),
    "£": ("英镑", "pound", "pounds", "penny"),
    "¥": ("元", "yuan", "yuan", "fen"),
    "￥": ("元", "yuan", "yuan", "fen"),
    "₩": ("韩元", "won", "won", "jeon"),
}
_SCALE_EN = r"(?:\s?(thousand|million|billion|trillion|k|K|M|B)\b)?"
_SCALE_ZH = r"(万亿|百万|千万|亿|万|千)?"
_SIGN = r"(US\$|[$€£¥￥₩])"
_MONEY_EN = re.compile(rf"{_SIGN}\s?({_NUMBER}){_SCALE_EN}")
_MONEY_ZH = re.compile(rf"{_SIGN}\s?({_NUMBER}){_SCALE_ZH}")
_SIGNS_EN = {"&": " and ", "+": " plus ", "=": " equals ", "@": " at ", "%": " percent ", "°": " degrees "}
_SIGNS_ZH = {"&": "和", "+": "加", "=": "等于", "@": " at ", "％": "百分号", "°": "度", "×": "乘"}


def verbalise(text: str, language: str) -> str:
    """Put what is not words into words of ``language`` ("zh" or "en"). Words are left as they are."""
    text = _URL.sub(lambda m: _address(m[1], language), text)
    text = _EMAIL.sub(lambda m: f"{_address(m[1], language)} at {_address(m[2], language)}", text)
    return _chinese(text) if language == "zh" else _english(text)


def _address(name: str, language: str) -> str:
    name = re.split(r"[?#]", name, maxsplit=1)[0].removeprefix("www.")
    return name.replace(".", " 点 " if language == "zh" else " dot ").replace("-", " ").replace("_", " ")


def _apply(text: str, rules: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]]) -> str:
    for pattern, rule in rules:
        text = pattern.sub(rule, text)
    return text


# Chinese -----------------------------------------------------------------------------------------------------------


def _cn(number: str) -> str:
    """A number as it is read: 1200.5 -> 一千二百点五. Beyond what the library knows: digit by digit."""
    import cn2an

    number = number.replace(",", "")
    whole, _, fraction = number.partition(".")
    if len(whole) > 16:
        return _cn_digits(number)
    spoken = str(cn2an.an2cn(str(int(whole)), "low"))
    spoken = re.sub(r"^一十", "十", spoken)
    return spoken + ("点" + _cn_digits(fraction) if fraction else "")


def _no_zeros(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number


def _cn_digits(number: str) -> str:
    return "".join("点" if char == "." else _DIGITS_ZH.get(char, "") for char in number)


_MEASURE = "个位只条张本件次天年岁块辆台杯人种部家间名双套遍句座支片把封棵层群分钟小时"
_TWO = re.compile(rf"(?<![\d.,第])2(?=\s?(?:个月|[{_MEASURE}]))")


def _chinese(text: str) -> str:
    def date(m: re.Match[str]) -> str:
        return f"{_cn_digits(m[1])}年{_cn(m[2])}月{_cn(m[3])}日"

    def time(m: re.Match[str]) -> str:
        minute = "整" if int(m[2]) == 0 and not m[3] else ("零" if m[2][0] == "0" else "") + _cn(m[2]) + "分"
        return f"{_cn(m[1])}点{minute}" + (f"{_cn(m[3])}秒" if m[3] else "")

    rules: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
        (_DATE, date),
        (re.compile(r"(?<!\d)(\d{4})(?=年)"), lambda m: _cn_digits(m[1])),
        (_TIME, time),
        (_MINUS, lambda m: f"负{m[1]}"),
        (_MONEY_ZH, lambda m: f"{_cn(_no_zeros(m[2]))}{m[3] or ''}{_CURRENCY[m[1]][0]}"),
        (_PERCENT, lambda m: f"百分之{_cn(m[1])}"),
        (_PHONE, lambda m: _cn_digits(re.sub(r"\D", "", m[0]))),
        (_VERSION, lambda m: "点".join(_cn(part) for part in m[0].split("."))),
        (re.compile(r"(?<![\d/])(\d{1,3})/(\d{1,3})(?![\d/])"), lambda m: f"{_cn(m[2])}分之{_cn(m[1])}"),
        (re.compile(r"(?<![\d:])(\d{1,3}):(\d{1,3})(?![\d:])"), lambda m: f"{_cn(m[1])}比{_cn(m[2])}"),
        (_RANGE, lambda m: f"{_cn(m[1])}到{_cn(m[2])}"),
        (_UNIT, lambda m: f"{_cn(m[1])}{_UNITS[m[2]][0]}"),
        (_LONG, lambda m: _cn_digits(m[0])),
        (_TWO, lambda m: "两"),
        (_PLAIN, lambda m: _cn(m[0])),
    ]
    text = _apply(text, rules)
    for sign, word in _SIGNS_ZH.items():
        text = text.replace(sign, word)
    return text


# English -----------------------------------------------------------------------------------------------------------


def _words(number: Any, **how: Any) -> str:
    from num2words import num2words

    return str(num2words(number, **how)).replace(",", "").replace(" and ", " ")


def _en(number: str) -> str:
    number = number.replace(",", "")
    whole, _, fraction = number.partition(".")
    if len(whole) > 15:
        return _en_digits(number)
    return _words(int(whole)) + (" point " + _en_digits(fraction) if fraction else "")


def _en_digits(number: str) -> str:
    return " ".join(
        "point" if char == "." else _DIGITS_EN[char] for char in number if char == "." or char in _DIGITS_EN
    )


_SCALES_EN = {"k": "thousand", "K": "thousand", "M": "million", "B": "billion"}
_YEAR = re.compile(
    r"\b(in|since|of|from|until|till|by|before|after|year|during)\s(1[1-9]\d\d|20\d\d)\b(?![\d.,]\d)", re.IGNORECASE
)


def _english(text: str) -> str:
    def date(m: re.Match[str]) -> str:
        month, day = int(m[2]), int(m[3])
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return " ".join(_en(part) for part in m.groups())
        return f"{_MONTHS[month - 1]} {_words(day, to='ordinal')}, {_words(int(m[1]), to='year')}"

    def time(m: re.Match[str]) -> str:
        minute = "" if int(m[2]) == 0 else (" oh " if m[2][0] == "0" else " ") + _en(m[2])
        return _en(m[1]) + (minute or " o'clock") + (f" and {_en(m[3])} seconds" if m[3] else "")

    def money(m: re.Match[str]) -> str:
        _, one, many, cent = _CURRENCY[m[1]]
        if m[3]:
            return f"{_en(m[2])} {_SCALES_EN.get(m[3], m[3])} {many}"
        whole, _, fraction = m[2].partition(".")
        spoken = f"{_en(whole)} {one if whole == '1' else many}"
        if len(fraction) == 2 and int(fraction):
            plural = "pence" if cent == "penny" else cent if cent in {"fen", "jeon"} else f"{cent}s"
            spoken += f" and {_en(fraction)} {cent if int(fraction) == 1 else plural}"
        elif fraction and int(fraction):
            spoken = f"{_en(m[2])} {many}"
        return spoken

    def unit(m: re.Match[str]) -> str:
        name = _UNITS[m[2]][1]
        if m[1] == "1":
            name = {"hertz": "hertz", "kilohertz": "kilohertz"}.get(name) or re.sub(r"s(?= |$)", "", name, count=1)
        return f"{_en(m[1])} {name}"

    rules: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
        (_DATE, date),
        (_TIME, time),
        (_MINUS, lambda m: f"minus {m[1]}"),
        (_MONEY_EN, money),
        (_PERCENT, lambda m: f"{_en(m[1])} percent"),
        (_PHONE, lambda m: _en_digits(m[0])),
        (_VERSION, lambda m: " point ".join(_en(part) for part in m[0].split("."))),
        (re.compile(r"(?<![\d,.])(\d{1,6})(st|nd|rd|th)\b"), lambda m: _words(int(m[1]), to="ordinal")),
        (re.compile(r"(?<![\w])(\d{3})0s\b"), lambda m: _words(int(m[1] + "0"), to="year") + "s"),
        (_RANGE, lambda m: f"{_en(m[1])} to {_en(m[2])}"),
        (_UNIT, unit),
        (_LONG, lambda m: _en_digits(m[0])),
        (_YEAR, lambda m: f"{m[1]} {_words(int(m[2]), to='year')}"),
        (_PLAIN, lambda m: _en(m[0])),
    ]
    text = _apply(text, rules)
    for sign, word in _SIGNS_EN.items():
        text = text.replace(sign, word)
    return re.sub(r"[ ]{2,}", " ", text)
