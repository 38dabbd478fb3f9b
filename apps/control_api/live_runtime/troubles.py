"""What can go wrong between a session and those it should reach, in both languages, with what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lipsync.errors import UnavailableError


@dataclass(frozen=True)
class Trouble:
    """One cause.

    Attributes:
        code: Stable; one of ``CAUSES``.
        message: What is wrong, {"zh-CN", "en"}.
        remedy: What to do, {"zh-CN", "en"}.
        said: What the other side or the system said, without secrets; may be empty.
    """

    code: str
    message: dict[str, str]
    remedy: dict[str, str]
    said: str = ""

    def as_error(self) -> UnavailableError:
        """The same as an error to answer a call with."""
        detail: dict[str, Any] = {"reason": self.code, "message": self.message, "remedy": self.remedy}
        if self.said:
            detail["said"] = self.said
        return UnavailableError(self.message["en"], self.remedy["en"], detail)


CAUSES: dict[str, tuple[str, str, str, str]] = {
    # code: (message zh, message en, remedy zh, remedy en)
    "push_unreachable": (
        "推流服务器连接不上。",
        "The push server cannot be reached.",
        "检查推流地址、端口和网络;工作室会继续重试。",
        "Check the address, the port and the network; the studio keeps trying.",
    ),
    "push_refused": (
        "推流服务器拒绝了这个流。",
        "The push server refused the stream.",
        "在平台重新获取推流码并确认直播间已开播;推流码可能已过期或正被占用。",
        "Get a new stream key from the platform and see that its room is open; the key may have expired or be in use.",
    ),
    "push_lost": (
        "与推流服务器的连接中断。",
        "The connection to the push server broke.",
        "工作室会自动重连;若反复中断,请降低码率或更换网络。",
        "The studio connects again by itself; if it keeps breaking, lower the bit rate or change the network.",
    ),
    "push_stalled": (
        "推流服务器长时间不收数据。",
        "The push server takes no data.",
        "上行带宽不足或服务器过载:降低码率,或更换推流节点。",
        "The upload is too slow or the server is overloaded: lower the bit rate or choose another ingest server.",
    ),
    "push_gave_up": (
        "长时间连接不上,推流已停止。",
        "The push was given up after trying for a long time.",
        "解决原因后重新添加这个输出。",
        "Remove the cause, then add the output again.",
    ),
    "push_failed": (
        "推流进程出错。",
        "The push process failed.",
        "查看日志;工作室会自动重试。",
        "See the log; the studio tries again by itself.",
    ),
    "whip_refused": (
        "WHIP 服务器拒绝了推流。",
        "The WHIP server refused the stream.",
        "检查地址和令牌(401、403 表示令牌不对,404 表示地址不对)。",
        "Check the address and the token (401 and 403 mean the token, 404 the address).",
    ),
    "whip_bad_answer": (
        "对方的回答不是有效的 WHIP 应答。",
        "The answer is not that of a WHIP endpoint.",
        "确认地址是 WHIP 推流地址而不是网页地址。",
        "See that the address is the WHIP endpoint and not a web page.",
    ),
    "whip_redirect": (
        "WHIP 服务器把推流转到了不允许的地址。",
        "The WHIP server redirects to an address that is not allowed.",
        "直接填写最终地址,或把该主机加入设置 push_hosts。",
        "Give the final address itself, or add its host to the setting `push_hosts`.",
    ),
    "camera_missing": (
        "没有可用的虚拟摄像头。",
        "There is no virtual camera to use.",
        "Linux:安装 v4l2loopback-dkms 并运行 modprobe v4l2loopback exclusive_caps=1;"
        "Windows/macOS:安装 OBS Studio,启动一次虚拟摄像头再关闭。",
        "Linux: install v4l2loopback-dkms and run `modprobe v4l2loopback exclusive_caps=1`; "
        "Windows and macOS: install OBS Studio, start its virtual camera once and stop it.",
    ),
    "camera_failed": (
        "虚拟摄像头中断。",
        "The virtual camera stopped working.",
        "确认没有其他程序占用它,然后重新添加这个输出。",
        "See that no other program holds it, then add the output again.",
    ),
    "sound_missing": (
        "没有可用的声音设备。",
        "There is no such sound device.",
        "Linux 安装 libportaudio2;要让其他程序听到,请安装虚拟声卡"
        "(Windows:VB-CABLE,macOS:BlackHole,Linux:PulseAudio/PipeWire 的 null sink)。",
        "On Linux install libportaudio2; for other programs to hear it, install a virtual sound cable "
        "(Windows: VB-CABLE, macOS: BlackHole, Linux: a null sink of PulseAudio or PipeWire).",
    ),
    "sound_failed": (
        "声音设备中断。",
        "The sound device stopped working.",
        "检查设备是否被拔出或停用,然后重新添加这个输出。",
        "See whether it was unplugged or switched off, then add the output again.",
    ),
    "no_candidates": (
        "浏览器没有给出任何网络地址。",
        "The browser gave no network address.",
        "浏览器或扩展禁用了 WebRTC 的 UDP;页面会改用 WebSocket 播放。",
        "The browser or an extension forbids WebRTC's UDP; the page plays over WebSocket instead.",
    ),
    "only_mdns": (
        "浏览器只给出了匿名地址(.local),而它在这个网络上查不到。",
        "The browser gave only hidden addresses (.local), which this network does not resolve.",
        "在同一台电脑上打开页面,允许页面使用麦克风,或在设置中填写 STUN/TURN 服务器。",
        "Open the page on the same machine, allow it the microphone, or name a STUN or TURN server in the settings.",
    ),
    "udp_blocked": (
        "双方的 UDP 数据包都到不了对方,多半是防火墙拦截了 UDP。",
        "No UDP packet arrives from the other side; most likely a firewall blocks UDP.",
        "放行 UDP,或在设置中填写 TURN 服务器;页面会改用 WebSocket 播放。",
        "Let UDP through or name a TURN server in the settings; the page plays over WebSocket instead.",
    ),
    "host_unreachable": (
        "浏览器给出的地址从本机到不了。",
        "The addresses the browser gave cannot be reached from this machine.",
        "两台机器不在同一网络:在设置中填写 STUN/TURN 服务器。",
        "The two machines are in different networks: name a STUN or TURN server in the settings.",
    ),
    "turn_auth_failed": (
        "TURN 服务器拒绝了用户名或密码。",
        "The TURN server refused the user name or the password.",
        "更正设置 turn_username 和 turn_credential。",
        "Correct the settings `turn_username` and `turn_credential`.",
    ),
    "turn_unreachable": (
        "TURN 服务器没有回应。",
        "The TURN server does not answer.",
        "检查它的地址、端口和防火墙;UDP 不通时用 turn:…?transport=tcp。",
        "Check its address, port and firewall; where UDP is blocked use turn:…?transport=tcp.",
    ),
    "dtls_failed": (
        "网络已连通,但加密握手失败。",
        "The network connects, but the encrypted handshake fails.",
        "校准双方电脑的时间,更新浏览器,关闭会检查流量的安全软件后再试。",
        "Set both clocks right, update the browser, switch off software that inspects traffic, and try again.",
    ),
    "peer_silent": (
        "连接曾经建立,后来对方不再回应。",
        "The connection stood, then the other side fell silent.",
        "检查对方的网络或电脑是否休眠,然后重新连接。",
        "See whether the other side's network broke or its machine sleeps, then connect again.",
    ),
}


def trouble(code: str, said: str = "") -> Trouble:
    """The trouble of a code."""
    zh, en, remedy_zh, remedy_en = CAUSES[code]
    return Trouble(code, {"zh-CN": zh, "en": en}, {"zh-CN": remedy_zh, "en": remedy_en}, said[:300])
