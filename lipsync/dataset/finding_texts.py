"""The words of the take report, one entry for each code. ``{value}`` and ``{wanted}`` are filled in, as words too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """Words of one code: when it is good, when it is not, and what to do then. Keys "zh-CN" and "en"."""

    good: dict[str, str]
    bad: dict[str, str]
    remedy: dict[str, str]


def _text(good: tuple[str, str], bad: tuple[str, str], remedy: tuple[str, str]) -> Text:
    def both(pair: tuple[str, str]) -> dict[str, str]:
        return {"zh-CN": pair[0], "en": pair[1]}

    return Text(both(good), both(bad), both(remedy))


SHARES = frozenset(
    {
        "face_found",
        "face_count",
        "face_edge",
        "clipping",
        "mouth_covered",
        "mouth_hidden",
        "screen_holes",
        "person_edge",
        "face_texture",
    }
)
"""Codes whose figures are shares of a whole, and are read as percentages."""

_ZH_WORDS = {"green": "绿色", "blue": "蓝色", "none": "没有幕布", "screen, sync": "幕布、音画同步", "sync": "音画同步"}


def value_in_words(code: str, value: float | str | None, language: str) -> str:
    """A measured value as it stands in a sentence.

    Args:
        code: The finding's.
        value: A number, a word, or None where nothing could be measured.
        language: "zh-CN" or "en".
    """
    if value is None:
        return "?"
    if isinstance(value, str):
        return _ZH_WORDS.get(value, value) if language == "zh-CN" else value
    if code in SHARES:
        return _percent(value)
    return f"{value:.4g}"


def wanted_in_words(code: str, wanted: str, language: str) -> str:
    """A limit such as ">= 720", "<= 0.15" or "24 .. 60" as it stands in a sentence; other words stay as they are."""
    chinese = language == "zh-CN"
    if " .. " in wanted:
        low, high = (_figure(code, part) for part in wanted.split(" .. "))
        return f" {low} 到 {high}" if chinese else f"between {low} and {high}"
    for sign, zh, en in ((">=", "至少", "at least"), ("<=", "不超过", "at most"), (">", "大于", "more than")):
        if wanted.startswith(sign):
            figure = _figure(code, wanted.removeprefix(sign).strip())
            return f"{zh} {figure}" if chinese else f"{en} {figure}"
    return wanted


def _figure(code: str, text: str) -> str:
    return _percent(float(text)) if code in SHARES else text


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


_RESEND = ("请重新导出或重新上传该文件。", "Export or upload the file again.")
_RECORD = ("请重新录制。", "Record it again.")
_EXPORT = ("请导出为 MP4（H.264 + AAC）后重新上传。", "Export it as MP4 (H.264 + AAC) and upload it again.")

TEXTS: dict[str, Text] = {
    # the file
    "file_missing": _text(("", ""), ("找不到文件。", "The file does not exist or cannot be read."), _RESEND),
    "file_empty": _text(("", ""), ("文件为空（0 字节）。", "The file is empty (0 bytes)."), _RESEND),
    "file_not_media": _text(
        ("文件可以读取。", "The file can be read."),
        (
            "文件不是可识别的视频，或开头已损坏。",
            "The file is not a video the studio can read, or its beginning is damaged.",
        ),
        (
            "请上传 MP4、MOV、MKV 或 WebM 视频；若文件被截断，请重新上传。",
            "Send an MP4, MOV, MKV or WebM video; upload a truncated file again.",
        ),
    ),
    "file_encrypted": _text(
        ("", ""),
        ("视频已加密（DRM）。", "The video is encrypted (DRM)."),
        ("请导出没有版权保护的文件。", "Export it without copy protection."),
    ),
    "file_undecodable": _text(
        ("", ""),
        ("画面无法解码：文件损坏或编码不受支持。", "The picture cannot be decoded: damaged, or an unsupported codec."),
        _EXPORT,
    ),
    "no_video": _text(
        ("", ""),
        ("文件中没有画面。", "The file has no picture track."),
        ("请上传同时带有画面和声音的视频。", "Send a video with picture and sound."),
    ),
    "no_audio": _text(
        ("有声音。", "There is a sound track."),
        ("视频没有声音，无法学习口型。", "The video has no sound, so lips cannot be learned from it."),
        ("录制时请打开麦克风，画面与声音必须同时录制。", "Record with the microphone on: picture and sound together."),
    ),
    "container": _text(
        ("封装格式为 {value}。", "The container is {value}."),
        ("封装格式为 {value}，将自动转换。", "The container is {value}; it will be converted."),
        ("建议使用 MP4。", "MP4 is best."),
    ),
    "codec": _text(
        ("编码为 {value}。", "The codec is {value}."),
        ("编码为 {value}，将自动转换。", "The codec is {value}; it will be converted."),
        ("建议使用 H.264 或 HEVC。", "H.264 or HEVC is best."),
    ),
    "pixel_format": _text(
        ("像素格式为 {value}。", "The pixel format is {value}."),
        ("像素格式为 {value}，将转换为 8 位。", "The pixel format is {value}; it will be brought to 8 bits."),
        ("建议关闭 10 位录制。", "Switch 10-bit recording off if you can."),
    ),
    "hdr": _text(
        ("不是 HDR。", "The picture is not HDR."),
        (
            "画面为 HDR（{value}），已按 ITU 曲线转换为 SDR：高光会被压缩。",
            "The picture is HDR ({value}); it is brought to SDR by the ITU's curve, which presses highlights together.",
        ),
        (
            "可以使用；若要颜色与所见一致，请在相机设置中关闭 HDR。",
            "It can be used; for colours just as seen, switch HDR off in the camera's settings.",
        ),
    ),
    "interlaced": _text(
        ("逐行扫描。", "The picture is progressive."),
        ("画面是隔行扫描，会损失清晰度。", "The picture is interlaced and loses sharpness."),
        ("请用逐行扫描（p）模式录制。", "Record in a progressive (p) mode."),
    ),
    "rotation": _text(
        ("画面方向标记为 {value} 度，已转正。", "The rotation flag is {value} degrees; the picture is turned upright."),
        ("", ""),
        ("", ""),
    ),
    "variable_frame_rate": _text(
        ("帧率稳定。", "The frame rate is constant."),
        (
            "帧率不稳定，已按时间戳对齐到每秒 25 帧。",
            "The frame rate varies; pictures are put on 25 a second by their times.",
        ),
        ("请在相机中固定帧率（25 或 30 帧）。", "Set the camera to a fixed rate (25 or 30)."),
    ),
    "frame_rate": _text(
        ("帧率 {value}。", "{value} pictures a second."),
        ("帧率 {value}，建议{wanted}。", "{value} pictures a second; it should be {wanted}."),
        ("请以 25 或 30 帧录制。", "Record at 25 or 30 pictures a second."),
    ),
    "resolution": _text(
        ("画面短边 {value} 像素。", "The short side has {value} pixels."),
        ("画面短边 {value} 像素，建议{wanted}。", "The short side has {value} pixels; it should be {wanted}."),
        ("请以 720p 到 4K 录制。", "Record at 720p to 4K."),
    ),
    "odd_size": _text(
        ("画面尺寸为偶数。", "The size is even."),
        ("画面尺寸 {value} 为奇数，将裁掉一行或一列。", "The size {value} is odd; one row or column will be cut."),
        ("请使用标准分辨率。", "Use a standard resolution."),
    ),
    "duration": _text(
        ("时长 {value} 秒。", "It is {value} s long."),
        ("时长 {value} 秒，建议{wanted}。", "It is {value} s long; it should be {wanted}."),
        ("请录制 1 到 5 分钟的讲话。", "Record one to five minutes of speech."),
    ),
    "damaged_frames": _text(
        ("没有损坏的画面。", "No damaged pictures."),
        ("有 {value} 处画面损坏。", "{value} places of the picture are damaged."),
        _RESEND,
    ),
    "still_picture": _text(
        ("画面中的人是活动的。", "The person moves."),
        ("画面是静止的照片。", "The picture is a still photo."),
        ("请录制真人讲话的视频。", "Record a video of a person speaking."),
    ),
    # the sound
    "track_lengths": _text(
        ("画面与声音长度一致。", "Picture and sound are equally long."),
        ("画面与声音长度相差 {value} 秒。", "Picture and sound differ by {value} s."),
        _RESEND,
    ),
    "loudness": _text(
        ("响度 {value} LUFS。", "The loudness is {value} LUFS."),
        ("响度 {value} LUFS，建议{wanted}。", "The loudness is {value} LUFS; it should be {wanted}."),
        ("请调整麦克风增益或距离（约 20 厘米）。", "Change the microphone's gain or distance (about 20 cm)."),
    ),
    "clipping": _text(
        ("声音没有削波。", "The sound does not clip."),
        ("声音有削波（占 {value}）。", "The sound clips ({value} of it)."),
        ("请降低麦克风增益。", "Lower the microphone's gain."),
    ),
    "speech_present": _text(
        ("讲话 {value} 秒。", "{value} s of speech."),
        ("只有 {value} 秒讲话，需要{wanted}。", "There is only {value} s of speech; it should be {wanted}."),
        (
            "请对着镜头持续讲话，按拍摄指南中的句子朗读。",
            "Speak to the camera; read the sentences of the capture guide.",
        ),
    ),
    "silence_ends": _text(
        ("开头和结尾有静音。", "There is silence at both ends."),
        (
            "开头或结尾的静音只有 {value} 秒，建议{wanted}。",
            "There is only {value} s of silence at an end; it should be {wanted}.",
        ),
        (
            "请在开头和结尾各闭嘴静默 5 秒，数字人静默时会更自然。",
            "Keep still with your mouth closed for 5 s at both ends: the avatar rests better.",
        ),
    ),
    "background_noise": _text(
        ("信噪比 {value} dB。", "Signal to noise is {value} dB."),
        (
            "背景噪声较大：信噪比 {value} dB，建议{wanted}。",
            "The room is noisy: signal to noise is {value} dB; it should be {wanted}.",
        ),
        ("请关闭空调和风扇，靠近麦克风。", "Switch fans off and come nearer to the microphone."),
    ),
    "bandwidth": _text(
        ("声音频带到 {value} Hz。", "The sound reaches up to {value} Hz."),
        ("声音频带只到 {value} Hz，听起来发闷。", "The sound only reaches {value} Hz and is dull."),
        ("请不要使用蓝牙耳机或电话录音。", "Do not use a Bluetooth headset or a phone call."),
    ),
    "voice_file": _text(
        ("参考声音文件可用：{value}。", "The voice file is good: {value}."),
        ("参考声音是 {value}，将转换为 24 kHz 单声道。", "The voice is {value}; it is converted to 24 kHz mono."),
        ("建议使用 16 或 24 kHz 单声道 WAV。", "16 or 24 kHz mono WAV is best."),
    ),
    "voice_unreadable": _text(
        ("", ""),
        ("参考声音文件无法读取或没有内容。", "The voice file cannot be read or holds no sound."),
        ("请上传 WAV 文件，或留空以使用视频中的声音。", "Send a WAV, or leave it out: the video's sound is used."),
    ),
    # the face
    "face_found": _text(
        ("{value} 的画面找到人脸。", "A face was found in {value} of the pictures."),
        (
            "只有 {value} 的画面找到人脸，需要{wanted}。",
            "A face was found in only {value} of the pictures; it should be {wanted}.",
        ),
        ("请正对镜头，脸部光线充足，全程不要离开画面。", "Face the camera in good light and stay in the picture."),
    ),
    "no_face": _text(
        ("", ""),
        ("没有找到人脸。", "No face was found."),
        ("请录制一个人正对镜头讲话。", "Record one person facing the camera."),
    ),
    "face_size": _text(
        ("两眼外角相距 {value} 像素。", "The eyes' outer corners are {value} pixels apart."),
        (
            "脸部太小：两眼外角相距 {value} 像素，建议{wanted}。",
            "The face is small: the eyes' outer corners are {value} pixels apart; it should be {wanted}.",
        ),
        ("请靠近镜头或提高分辨率。", "Come nearer or record at a higher resolution."),
    ),
    "face_count": _text(
        ("只有一个人。", "There is one person."),
        ("{value} 的画面中有多于一张脸。", "There is more than one face in {value} of the pictures."),
        ("请只录制一个人，遮住海报和镜子。", "Record one person only; cover posters and mirrors."),
    ),
    "head_turn": _text(
        ("头部基本正对镜头（{value} 度）。", "The head faces the camera ({value} degrees)."),
        ("头部偏转 {value} 度，建议{wanted}。", "The head is turned by {value} degrees; it should be {wanted}."),
        ("请正对镜头，只做轻微的头部动作。", "Face the camera; move your head only a little."),
    ),
    "face_edge": _text(
        ("脸部完整在画面内。", "The face is wholly inside the picture."),
        ("{value} 的画面中脸部超出画面。", "The face leaves the picture {value} of the time."),
        ("请调整机位，让头部四周留出空间。", "Move the camera so that there is room round the head."),
    ),
    "blur": _text(
        ("脸部清晰（{value}）。", "The face is sharp ({value})."),
        ("脸部模糊（{value}），建议{wanted}。", "The face is blurred ({value}); it should be {wanted}."),
        ("请对焦在脸上，增加光线，擦拭镜头。", "Focus on the face, add light, wipe the lens."),
    ),
    "face_texture": _text(
        ("脸部有自然的纹理。", "The face has the texture of skin."),
        (
            "脸部 {value} 的面积没有任何纹理：可能是卡通、图画，或磨皮过度。",
            "{value} of the face has no texture at all: a drawing, or a strong beauty filter?",
        ),
        ("请录制真人，并关闭美颜。", "Record a real person, with beauty filters off."),
    ),
    "exposure": _text(
        ("脸部亮度 {value}。", "The face's brightness is {value}."),
        ("脸部亮度 {value}，建议{wanted}。", "The face's brightness is {value}; it should be {wanted}."),
        ("请调整灯光或曝光。", "Change the light or the exposure."),
    ),
    "mouth_covered": _text(
        ("嘴部没有被遮挡。", "The mouth is not covered."),
        ("{value} 的画面中嘴部被遮挡。", "The mouth is covered in {value} of the pictures."),
        ("请不要用手、麦克风或口罩挡住嘴。", "Keep hands, microphones and masks away from the mouth."),
    ),
    "mouth_still": _text(
        ("讲话时嘴在动。", "The mouth moves while speech is heard."),
        ("有讲话声，但嘴几乎不动。", "Speech is heard but the mouth hardly moves."),
        ("请录制本人讲话的画面，不要使用配音。", "Record yourself speaking; no dubbing."),
    ),
    "mouth_hidden": _text(
        ("能看到嘴唇。", "The lips can be seen."),
        ("{value} 的画面中看不到嘴唇。", "No lips can be seen in {value} of the pictures."),
        ("请摘下口罩，整张嘴要始终可见。", "Take off the mask; the whole mouth has to be in view all the time."),
    ),
    "mouth_shut": _text(
        ("嘴会张开。", "The mouth opens."),
        (
            "嘴从未张开，素材里没有张开的嘴可用来画出说话。",
            "The mouth never opens: there is no open mouth to draw speech with.",
        ),
        (
            "请重新录制：对着镜头清楚地朗读至少一分钟，不要遮住嘴。",
            "Record again: read aloud and clearly for at least a minute, with nothing before the mouth.",
        ),
    ),
    "mouth_moves_unheard": _text(
        ("不讲话时嘴是静止的。", "The mouth rests while nothing is said."),
        (
            "没有讲话时嘴也在动（是讲话时的 {value} 倍）：在咀嚼，还是声音不全？",
            "The mouth moves while nothing is said ({value} times as much as in speech): chewing, or sound missing?",
        ),
        ("录制时请不要吃东西，停顿时闭上嘴。", "Do not eat while recording; keep the mouth shut in pauses."),
    ),
    "joined_clips": _text(
        ("一次拍摄，没有剪接。", "One shot without cuts."),
        ("画面有 {value} 处剪接，头部位置突然跳动。", "The film is cut in {value} places: the head jumps there."),
        (
            "请使用一次拍摄完成的视频；剪接处待机画面会跳动。",
            "Use one uncut recording; the idle picture jumps where it was cut.",
        ),
    ),
    "usable_speech": _text(
        ("{value} 秒的画面既有脸又有讲话声。", "{value} s show the face while it speaks."),
        (
            "只有 {value} 秒的画面既有脸又有讲话声，建议{wanted}。",
            "Only {value} s show the face while it speaks; it should be {wanted}.",
        ),
        ("请对着镜头讲话至少一分钟。", "Speak to the camera for at least a minute."),
    ),
    "sync_offset": _text(
        ("声音与画面相差 {value} 毫秒。", "Sound and picture are {value} ms apart."),
        (
            "声音与画面相差约 {value} 毫秒，建议{wanted}。",
            "Sound and picture are about {value} ms apart; it should be {wanted}.",
        ),
        ("请使用同一设备同时录制，不要后期拼接声音。", "Record both with one device; do not join the sound later."),
    ),
    "sync_unsure": _text(
        ("", ""),
        (
            "声音与口型没有明显关系（相关 {value}），可能是配音或拼接。",
            "The sound hardly fits the lips (correlation {value}): it may be dubbed or joined.",
        ),
        ("请使用原声视频。", "Use a video with its own sound."),
    ),
    "sync_jumps": _text(
        ("", ""),
        (
            "不同位置的音画偏移相差 {value} 毫秒，可能是拼接的视频。",
            "The offset differs by {value} ms between parts: joined clips?",
        ),
        ("请使用一次拍摄完成的视频。", "Use one uncut recording."),
    ),
    # the screen
    "screen": _text(
        ("幕布颜色：{value}。", "Screen colour: {value}."),
        (
            "背景不是绿幕或蓝幕，将改用人像分割，发丝边缘会变差。",
            "No green or blue screen: segmentation is used, hair edges suffer.",
        ),
        ("请在绿幕或蓝幕前录制。", "Record before a green or blue screen."),
    ),
    "screen_evenness": _text(
        ("幕布光线均匀（{value}）。", "The screen is evenly lit ({value})."),
        ("幕布光线不均匀（{value}），建议{wanted}。", "The screen is unevenly lit ({value}); it should be {wanted}."),
        ("请用两盏灯从两侧照亮幕布，并拉平褶皱。", "Light the screen from both sides and pull it flat."),
    ),
    "screen_spill": _text(
        ("人物边缘没有幕布反光（{value}）。", "No colour spill on the person ({value})."),
        (
            "人物边缘有幕布反光（{value}），建议{wanted}。",
            "The screen's colour spills onto the person ({value}); it should be {wanted}.",
        ),
        ("请离幕布至少 1.5 米。", "Stand at least 1.5 m from the screen."),
    ),
    "screen_holes": _text(
        ("人物内部没有被抠掉的区域。", "The key tears no holes into the person."),
        ("人物内部有 {value} 的面积与幕布同色。", "{value} of the person has the screen's colour."),
        ("请不要穿与幕布颜色相近的衣物，避免反光。", "Wear nothing of the screen's colour, nothing shiny."),
    ),
    "person_edge": _text(
        ("头部与画面上边有距离。", "There is room above the head."),
        ("{value} 的画面中头部碰到画面边缘。", "The head touches the picture's edge {value} of the time."),
        ("请在头顶和两侧留出空间。", "Leave room above the head and at its sides."),
    ),
    "not_checked": _text(
        ("", ""),
        ("时间不足，未完成检查：{value}。", "Not checked for lack of time: {value}."),
        ("请缩短视频或降低分辨率。", "Use a shorter or smaller video."),
    ),
    "check_failed": _text(
        ("", ""),
        (
            "检查中断：文件的某处无法处理（{value}）。",
            "The check broke off: a part of the file cannot be handled ({value}).",
        ),
        _EXPORT,
    ),
    "too_long": _text(
        ("", ""),
        ("时长 {value} 秒，超过上限 {wanted} 秒。", "It is {value} s long, over the limit of {wanted} s."),
        ("请剪短到 30 分钟以内。", "Cut it to under 30 minutes."),
    ),
    "too_large_picture": _text(
        ("", ""),
        ("画面 {value} 过大，最大为 4K。", "The picture {value} is too large; at most 4K."),
        ("请以 4K 或更低分辨率导出。", "Export it at 4K or less."),
    ),
}
