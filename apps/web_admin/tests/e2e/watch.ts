/** What the page really shows and plays: pictures read from the decoded video, sound from the received track. */
import type { Page } from "@playwright/test";

export interface Watched {
  readonly width: number;
  readonly height: number;
  /** Mean luma, 0 to 255: a black picture is not an avatar. */
  readonly brightness: number;
  /**
   * How much the mouth's place changes over time against the brow's: the head's sway moves both, speech the mouth alone.
   * Measured over the whole time and not from picture to picture, so that a slow machine does not hide it.
   * The places are those of the demo person.
   */
  readonly mouthShare: number;
  /** Loudest block of the received sound, 0 to 1. */
  readonly loudness: number;
  readonly frames: number;
}

/** Watches the stage's video for some time. */
export function watch(page: Page, milliseconds: number): Promise<Watched> {
  return page.evaluate(async (duration) => {
    const video = document.querySelector<HTMLVideoElement>(".stage video");
    if (video === null || !(video.srcObject instanceof MediaStream)) throw new Error("no video");
    const side = 128;
    const canvas = document.createElement("canvas");
    canvas.width = side;
    canvas.height = side;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (context === null) throw new Error("no canvas");
    const audio = new AudioContext();
    const analyser = audio.createAnalyser();
    audio.createMediaStreamSource(video.srcObject).connect(analyser);
    const block = new Float32Array(analyser.fftSize);
    const luma = () => {
      context.drawImage(video, 0, 0, side, side);
      const { data } = context.getImageData(0, 0, side, side);
      return Float32Array.from({ length: side * side }, (_, i) => ((data[4 * i] ?? 0) + 2 * (data[4 * i + 1] ?? 0) + (data[4 * i + 2] ?? 0)) / 4);
    };
    const pictures: Float32Array[] = [];
    let loudness = 0;
    const first = video.getVideoPlaybackQuality().totalVideoFrames;
    const end = performance.now() + duration;
    while (performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 40));
      pictures.push(luma());
      analyser.getFloatTimeDomainData(block);
      for (const value of block) loudness = Math.max(loudness, Math.abs(value));
    }
    const spread = (top: number, bottom: number) => {
      let sum = 0;
      let count = 0;
      for (let y = Math.floor(side * top); y < side * bottom; y += 1) {
        for (let x = Math.floor(side * 0.38); x < side * 0.62; x += 1) {
          const values = pictures.map((picture) => picture[y * side + x] ?? 0);
          const mean = values.reduce((total, value) => total + value, 0) / values.length;
          sum += Math.sqrt(values.reduce((total, value) => total + (value - mean) ** 2, 0) / values.length);
          count += 1;
        }
      }
      return sum / count;
    };
    const last = pictures.at(-1) ?? new Float32Array(1);
    await audio.close();
    return {
      width: video.videoWidth,
      height: video.videoHeight,
      brightness: last.reduce((sum, value) => sum + value, 0) / last.length,
      mouthShare: spread(0.5, 0.68) / (spread(0.2, 0.36) + 0.05),
      loudness,
      frames: video.getVideoPlaybackQuality().totalVideoFrames - first,
    };
  }, milliseconds);
}
