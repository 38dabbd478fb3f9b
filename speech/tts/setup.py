"""What each voice back-end needs before it can speak, in words for its owner, and what went wrong when it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from speech.errors import Problem

HINTS: Mapping[str, tuple[str, str]] = {
    "local": ("随程序自带，无需设置。", "Comes with the studio; nothing to set up."),
    "clone": ("在“声音”页用一段录音训练自己的声音。", "Train your own voice from a recording on the voices page."),
    "xtts_local": (
        "安装可选组件 xtts，并把 XTTS v2 的权重放进 models/base/xtts。",
        "Install the extra named xtts and put the XTTS v2 weights into models/base/xtts.",
    ),
    "xtts": (
        "启动 XTTS 流式服务，填写地址和一段参考录音。",
        "Start an XTTS streaming server; enter its address and a reference recording.",
    ),
    "edge": ("无需账号，只需联网。", "No account is needed, only the network."),
    "fish": (
        "启动 Fish Speech 服务并填写地址；使用 fish.audio 云端还需密钥。",
        "Start a Fish Speech server and enter its address; fish.audio's own also wants a key.",
    ),
    "gpt_sovits": (
        "启动 GPT-SoVITS 的 api_v2，填写地址和服务器上的参考录音路径。",
        "Start GPT-SoVITS's api_v2; enter its address and the path of a reference recording on its machine.",
    ),
    "cosyvoice": (
        "启动 CosyVoice 的 FastAPI 服务，填写地址和参考录音。",
        "Start CosyVoice's FastAPI server; enter its address and a reference recording.",
    ),
    "tencent": (
        "在腾讯云控制台开通语音合成，填写 AppId、SecretId 和 SecretKey。",
        "Open speech synthesis in Tencent Cloud's console; enter AppId, SecretId and SecretKey.",
    ),
    "doubao": (
        "在火山引擎控制台开通语音合成，填写 AppId 和 Token。",
        "Open speech synthesis in Volcano Engine's console; enter the app's id and token.",
    ),
    "indextts2": (
        "启动 IndexTTS2 网页服务，填写地址和参考录音。",
        "Start IndexTTS2's web page; enter its address and a reference recording.",
    ),
    "azure": (
        "在 Azure 门户创建语音资源，填写密钥和区域。",
        "Create a speech resource in Azure's portal; enter its key and region.",
    ),
    "openai_speech": (
        "填写兼容 OpenAI 的语音服务地址和模型；OpenAI 自家服务还需密钥。",
        "Enter the address and model of an OpenAI-style voice server; OpenAI's own also wants a key.",
    ),
}
UNKNOWN_HINT = ("请查看该插件的说明。", "See the plug-in's own description.")


def problem_of(code: str, detail: Mapping[str, Any], message: str = "") -> Problem:
    """The one word for an error's code and facts."""
    if code == "speech_settings" or (code == "speech_unauthorised" and "No credentials" in message):
        return "not_configured"
    if code == "speech_unauthorised":
        return "refused"
    if code == "speech_timeout":
        return "silent"
    if code == "speech_protocol":
        return "not_the_service"
    if code == "not_found" or detail.get("status") == 404 or "not valid" in message or "must begin" in message:
        return "wrong_place"
    if detail.get("status") == 429:
        return "busy"
    if "cannot be reached" in message:
        return "unreachable"
    return "not_installed" if detail.get("missing") else "failed"
