/** What the browser itself measures of the picture and sound it receives. */
import type { WatchPlayer } from "./watch_player";

export interface ClientStats {
  readonly fps: number;
  /** Packets of WebRTC, pictures of a WebSocket. */
  readonly lost: number;
  /** WebRTC alone knows it. */
  readonly jitterMs: number | null;
  /** How far the picture is behind what came: of a WebSocket alone. */
  readonly behindMs: number | null;
  readonly kbps: number;
}

interface Totals {
  readonly at: number;
  readonly frames: number;
  readonly bytes: number;
}

interface InboundVideo {
  readonly type: string;
  readonly kind?: string;
  readonly framesDecoded?: number;
  readonly bytesReceived?: number;
  readonly packetsLost?: number;
  readonly jitter?: number;
}

export class ClientMeter {
  private before: Totals | null = null;

  /** Reads the connection's counters; null until two readings make a rate. */
  async read(peer: RTCPeerConnection, now: number): Promise<ClientStats | null> {
    let found: InboundVideo | null = null;
    (await peer.getStats()).forEach((entry: InboundVideo) => {
      if (entry.type === "inbound-rtp" && entry.kind === "video") found = entry;
    });
    if (found === null) return null;
    const entry: InboundVideo = found;
    const totals = { at: now, frames: entry.framesDecoded ?? 0, bytes: entry.bytesReceived ?? 0 };
    return this.rate(totals, { lost: entry.packetsLost ?? 0, jitterMs: (entry.jitter ?? 0) * 1000, behindMs: null });
  }

  /** The same of a stream over a WebSocket. */
  readPlayer(player: Pick<WatchPlayer, "counters">, now: number): ClientStats | null {
    const found = player.counters();
    if (found === null) return null;
    return this.rate({ at: now, frames: found.frames, bytes: found.bytes }, { lost: found.dropped, jitterMs: null, behindMs: found.behindMs });
  }

  private rate(totals: Totals, rest: Omit<ClientStats, "fps" | "kbps">): ClientStats | null {
    const { at } = totals;
    const before = this.before;
    this.before = totals;
    if (before === null || at <= before.at || totals.frames < before.frames) return null;
    const seconds = (at - before.at) / 1000;
    return {
      fps: (totals.frames - before.frames) / seconds,
      kbps: ((totals.bytes - before.bytes) * 8) / 1000 / seconds,
      ...rest,
    };
  }
}
