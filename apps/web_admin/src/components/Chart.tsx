import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

interface ChartProps {
  readonly label: string;
  readonly xs: readonly number[];
  readonly ys: readonly (number | null)[];
  readonly height?: number;
  /** The smallest top of the scale, so that a quiet line does not look wild. */
  readonly atLeast?: number;
}

/** A line over time or steps. Redrawn in place; made anew only when its width or theme changes. */
export function Chart({ label, xs, ys, height = 120, atLeast = 1 }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef<uPlot.AlignedData>([[], []]);

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const style = getComputedStyle(element);
    const ink = style.getPropertyValue("--mantine-color-dimmed");
    const axis = { stroke: ink, grid: { stroke: style.getPropertyValue("--studio-line") }, ticks: { show: false } };
    plot.current = new uPlot(
      {
        width: Math.max(element.clientWidth, 50),
        height,
        legend: { show: false },
        cursor: { show: false },
        scales: { x: { time: false }, y: { range: (_self, _low, high) => [0, Math.max(high * 1.1, atLeast)] } },
        axes: [{ ...axis, size: 24 }, { ...axis, size: 44 }],
        series: [{}, { stroke: style.getPropertyValue("--mantine-color-anchor"), width: 2, points: { show: false } }],
      },
      latest.current,
      element,
    );
    const observer = new ResizeObserver(() => plot.current?.setSize({ width: Math.max(element.clientWidth, 50), height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [height, atLeast]);

  useEffect(() => {
    latest.current = [[...xs], [...ys]];
    plot.current?.setData(latest.current);
  }, [xs, ys]);

  return <div ref={box} role="img" aria-label={label} style={{ width: "100%", height }} />;
}
