/** What the browser itself measures of the picture and sound it receives. */
export interface ClientStats {
  readonly fps: number;
  readonly lost: number;
  readonly jitterMs: number;
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
    return found === null ? null : this.rate(found, now);
  }

  private rate(entry: InboundVideo, at: number): ClientStats | null {
    const totals = { at, frames: entry.framesDecoded ?? 0, bytes: entry.bytesReceived ?? 0 };
    const before = this.before;
    this.before = totals;
    if (before === null || at <= before.at || totals.frames < before.frames) return null;
    const seconds = (at - before.at) / 1000;
    return {
      fps: (totals.frames - before.frames) / seconds,
      kbps: ((totals.bytes - before.bytes) * 8) / 1000 / seconds,
      lost: entry.packetsLost ?? 0,
      jitterMs: (entry.jitter ?? 0) * 1000,
    };
  }
}
