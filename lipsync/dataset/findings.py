"""What a check says of a take: findings with a code, figures, and words for people in two languages."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lipsync.dataset.finding_texts import TEXTS, value_in_words, wanted_in_words

Severity = Literal["error", "warning", "ok"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        code: Stable word; the capture guide explains each.
        severity: "error" (the take cannot be used), "warning" (it can, with a loss), "ok".
        value: What was measured: a number or a short word; None where nothing could be.
        wanted: What would be good, in the same unit, as text.
        message, remedy: Words under "zh-CN" and "en"; the remedy is empty for "ok".
    """

    code: str
    severity: Severity
    value: float | str | None
    wanted: str
    message: dict[str, str]
    remedy: dict[str, str]


@dataclass
class TakeReport:
    """All findings of a take.

    Attributes:
        findings: In the order looked at.
        info: Facts beside them: ``video`` (of ``VideoInfo``), ``mic_profile``, ``chroma_info``, ``sync``, ``seconds``.
    """

    findings: list[Finding] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the take can be used."""
        return not any(f.severity == "error" for f in self.findings)

    @property
    def errors(self) -> list[Finding]:
        """The findings that make it unusable."""
        return [f for f in self.findings if f.severity == "error"]

    def add(self, code: str, severity: Severity, value: float | str | None = None, wanted: str = "") -> None:
        """Add a finding; its words come from ``finding_texts``. Numbers are rounded to four places."""
        if isinstance(value, float):
            value = round(value, 4)
        text = TEXTS[code]
        good = severity == "ok"
        message = {
            lang: (text.good if good else text.bad)[lang].format(
                value=value_in_words(code, value, lang), wanted=wanted_in_words(code, wanted, lang)
            )
            for lang in ("zh-CN", "en")
        }
        remedy = {lang: "" if good else text.remedy[lang] for lang in ("zh-CN", "en")}
        self.findings.append(Finding(code, severity, value, wanted, message, remedy))

    def grade(
        self,
        code: str,
        value: float,
        *,
        warn: tuple[float | None, float | None] = (None, None),
        error: tuple[float | None, float | None] = (None, None),
        wanted: str | None = None,
    ) -> None:
        """Add a finding for a figure by its limits: (lowest, highest) that is fine, and that is bearable."""

        def inside(limits: tuple[float | None, float | None]) -> bool:
            low, high = limits
            return (low is None or value >= low) and (high is None or value <= high)

        severity: Severity = "ok" if inside(warn) and inside(error) else "warning" if inside(error) else "error"
        low, high = warn if warn != (None, None) else error
        if wanted is None:
            wanted = f"{low:g} .. {high:g}" if low is not None and high is not None else ""
            wanted = wanted or (f">= {low:g}" if low is not None else f"<= {high:g}")
        self.add(code, severity, value, wanted)

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable: ``{"ok", "findings": [...], "info": {...}}``."""
        return {"ok": self.ok, "findings": [asdict(f) for f in self.findings], "info": self.info}
