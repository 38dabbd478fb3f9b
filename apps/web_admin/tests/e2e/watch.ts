/** What the page really shows and plays: pictures read from the decoded video, sound from the received track. */
import type { Page } from "@playwright/test";

export interface Watched {
  readonly width: number;
  readonly height: number;
  /** Mean luma, 0 to 255: a black picture is not an avatar. */
  readonly brightness: number;
  /** Mean absolute luma change between pictures 40 ms apart in the lower middle of the picture, where the mouth is. */
  readonly mouthMotion: number;
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
    let before: Float32Array | null = null;
    let brightness = 0;
    let motion = 0;
    let loudness = 0;
    let samples = 0;
    const first = video.getVideoPlaybackQuality().totalVideoFrames;
    const end = performance.now() + duration;
    while (performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 40));
      const now = luma();
      analyser.getFloatTimeDomainData(block);
      for (const value of block) loudness = Math.max(loudness, Math.abs(value));
      brightness = now.reduce((sum, value) => sum + value, 0) / now.length;
      if (before !== null) {
        let change = 0;
        let count = 0;
        for (let y = Math.floor(side * 0.35); y < side * 0.75; y += 1) {
          for (let x = Math.floor(side * 0.35); x < side * 0.65; x += 1) {
            change += Math.abs((now[y * side + x] ?? 0) - (before[y * side + x] ?? 0));
            count += 1;
          }
        }
        motion += change / count;
        samples += 1;
      }
      before = now;
    }
    await audio.close();
    return {
      width: video.videoWidth,
      height: video.videoHeight,
      brightness,
      mouthMotion: motion / Math.max(1, samples),
      loudness,
      frames: video.getVideoPlaybackQuality().totalVideoFrames - first,
    };
  }, milliseconds);
}
