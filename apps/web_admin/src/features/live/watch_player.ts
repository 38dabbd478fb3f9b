/**
 * Picture and sound of a session over a WebSocket, for networks that let no UDP through: a WebM that does not end, fed
 * to the browser's MediaSource. It keeps close behind what arrives: a little late it plays faster, far behind it jumps.
 */
import { api, must } from "../../api/client";
import { getConnection } from "../../api/connection";
import { ApiError } from "../../api/errors";

/** Seconds behind the newest picture: what the network and this page may jitter. */
const BEHIND_S = 0.25;
/** Further behind than this it jumps to where it should be. */
const LATE_S = 1;
const FASTER = 1.08;
/** What was played is kept this long, and thrown away in pieces. */
const KEPT_S = 10;
const STEER_MS = 200;
const WORD_MS = 2000;
/** A first picture that takes longer than this does not come. */
const FIRST_MS = 10_000;

interface Head {
  readonly mime: string;
}

export class WatchPlayer {
  private source: MediaSource | null = null;
  private buffer: SourceBuffer | null = null;
  private video: HTMLVideoElement | null = null;
  private socket: WebSocket | null = null;
  private waiting: ArrayBuffer[] = [];
  private mime = "";
  private steering: number | undefined;
  private said = 0;
  private closed = false;
  private bytes = 0;

  /** `onEnded` is told when the stream cannot be had or ends by itself. */
  constructor(
    private readonly sessionId: string,
    private readonly onEnded: (error: unknown) => void,
  ) {}

  /** Whether this browser can play it at all. */
  static supported(): boolean {
    return "MediaSource" in window && "WebSocket" in window;
  }

  /** Shows it in an element. A stream can only be played from its beginning, so each element gets one of its own. */
  attach(video: HTMLVideoElement): void {
    this.video = video;
    this.buffer = null;
    this.waiting = [];
    const source = new MediaSource();
    this.source = source;
    const url = URL.createObjectURL(source);
    source.addEventListener("sourceopen", () => URL.revokeObjectURL(url), { once: true });
    video.srcObject = null;
    video.src = url;
    this.steering = window.setInterval(() => this.steer(), STEER_MS);
    void this.open().catch((error: unknown) => this.end(error));
  }

  /** What came and was shown so far, and how far the picture is behind what came; null where no element shows it. */
  counters(): { readonly frames: number; readonly dropped: number; readonly bytes: number; readonly behindMs: number } | null {
    const { video } = this;
    if (video === null || video.buffered.length === 0) return null;
    const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
    const behindMs = (video.buffered.end(video.buffered.length - 1) - video.currentTime) * 1000;
    return { frames: totalVideoFrames - droppedVideoFrames, dropped: droppedVideoFrames, bytes: this.bytes, behindMs };
  }

  /** Shows it no longer. The stream goes on unseen: a session that nobody gets would end. */
  detach(): void {
    window.clearInterval(this.steering);
    this.video?.removeAttribute("src");
    this.video?.load();
    this.video = null;
    this.source = null;
  }

  close(): void {
    this.closed = true;
    this.detach();
    this.socket?.close();
  }

  private async open(): Promise<void> {
    const connection = getConnection();
    if (connection === null) throw new ApiError(401, "unauthorised", "");
    const { ticket } = await must(api().POST("/api/v1/events/ticket"));
    if (this.closed) return;
    const url = new URL(`/api/v1/live/sessions/${this.sessionId}/watch`, connection.base.replace(/^http/, "ws"));
    url.searchParams.set("ticket", ticket);
    const socket = new WebSocket(url);
    const before = this.socket;
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    const late = window.setTimeout(() => this.end(new ApiError(0, "unavailable", "")), FIRST_MS);
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (this.socket !== socket) return;
      if (typeof data === "string") {
        this.mime = (JSON.parse(data) as Head).mime;
        if (!MediaSource.isTypeSupported(this.mime)) this.end(new ApiError(0, "unavailable", ""));
        return;
      }
      window.clearTimeout(late);
      this.hear(data);
    };
    socket.onclose = () => {
      window.clearTimeout(late);
      if (this.socket === socket) this.end(new ApiError(0, "unavailable", ""));
    };
    before?.close();
  }

  private end(error: unknown): void {
    if (this.closed) return;
    this.close();
    this.onEnded(error);
  }

  private hear(data: ArrayBuffer): void {
    // Here and not by a timer: timers of a tab in the background nearly stop.
    const now = performance.now();
    if (now - this.said > WORD_MS) {
      this.said = now;
      this.socket?.send("here");
    }
    this.bytes += data.byteLength;
    if (this.source === null) return;
    this.waiting.push(data);
    if (this.buffer === null && this.source.readyState === "open") {
      this.buffer = this.source.addSourceBuffer(this.mime);
      this.buffer.addEventListener("updateend", () => this.append());
    }
    this.append();
  }

  private append(): void {
    const { buffer, source, video } = this;
    if (buffer === null || source?.readyState !== "open" || buffer.updating) return;
    const { buffered } = buffer;
    const first = buffered.length > 0 ? buffered.start(0) : 0;
    if (video !== null && video.currentTime - first > 2 * KEPT_S) {
      buffer.remove(first, video.currentTime - KEPT_S);
      return;
    }
    if (this.waiting.length === 0) return;
    const size = this.waiting.reduce((sum, part) => sum + part.byteLength, 0);
    const joined = new Uint8Array(size);
    let at = 0;
    for (const part of this.waiting.splice(0)) {
      joined.set(new Uint8Array(part), at);
      at += part.byteLength;
    }
    buffer.appendBuffer(joined);
  }

  private steer(): void {
    const { video } = this;
    if (video === null || video.buffered.length === 0) return;
    const newest = video.buffered.length - 1;
    const start = video.buffered.start(newest);
    const end = video.buffered.end(newest);
    const behind = end - video.currentTime;
    if (video.currentTime < start || behind > LATE_S) video.currentTime = Math.max(start, end - BEHIND_S);
    else video.playbackRate = behind > 1.4 * BEHIND_S ? FASTER : 1;
  }
}
