import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from "@mantine/core";

const studio: MantineColorsTuple = [
  "#f0f0ff",
  "#dedefc",
  "#babaf6",
  "#9695f1",
  "#7573ea",
  "#5c59e0",
  "#4a46d6",
  "#3b37c0",
  "#312e9f",
  "#26247d",
];

/** Bluish greys: Mantine's own neutral ones look dirty beside the surfaces of the dark theme. */
const dark: MantineColorsTuple = [
  "#d3d7e3",
  "#b9bfcc",
  "#8b91a3",
  "#6b7185",
  "#3d4154",
  "#2f3242",
  "#232633",
  "#1b1d28",
  "#151720",
  "#0f1017",
];

export const theme = createTheme({
  primaryColor: "studio",
  primaryShade: { light: 7, dark: 6 },
  colors: { studio, dark },
  fontFamily:
    'Inter, "Segoe UI", system-ui, -apple-system, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", sans-serif',
  defaultRadius: "md",
  cursorType: "pointer",
  headings: { fontWeight: "650" },
  components: {
    Button: { defaultProps: { fw: 600 } },
  },
});

/** Mantine's own dimmed, red, green and orange texts are too pale for WCAG AA; these reach 4.5 : 1 on every surface. */
export const resolver: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-body": "#f6f7fb",
    "--mantine-color-dimmed": "#565d6b",
    "--mantine-color-placeholder": "#666d7a",
    "--mantine-color-anchor": "#3b37c0",
    "--mantine-color-error": "#b3211f",
    "--studio-surface": "#ffffff",
    "--studio-line": "#dfe2ea",
    "--studio-ok": "#0b6b45",
    "--studio-ok-soft": "#e2f5ec",
    "--studio-warning": "#855000",
    "--studio-warning-soft": "#fff1d8",
    "--studio-error": "#a81f1d",
    "--studio-error-soft": "#fde8e7",
    "--studio-info": "#3b37c0",
    "--studio-info-soft": "#ececfd",
    "--studio-idle": "#4d5461",
    "--studio-idle-soft": "#eceef3",
    "--studio-hero": "linear-gradient(120deg, #26247d, #4a46d6 70%, #2a7f8f)",
  },
  dark: {
    "--mantine-color-body": "#12131b",
    "--mantine-color-text": "#e6e8f0",
    "--mantine-color-dimmed": "#a5abba",
    "--mantine-color-placeholder": "#969cab",
    "--mantine-color-anchor": "#b0aff8",
    "--mantine-color-error": "#ff9a97",
    "--studio-surface": "#1b1d28",
    "--studio-line": "#2f3242",
    "--studio-ok": "#7fdcb4",
    "--studio-ok-soft": "#173429",
    "--studio-warning": "#f5c26b",
    "--studio-warning-soft": "#3a2d14",
    "--studio-error": "#ffa3a0",
    "--studio-error-soft": "#42201f",
    "--studio-info": "#b7b6fb",
    "--studio-info-soft": "#28284d",
    "--studio-idle": "#b9bfcc",
    "--studio-idle-soft": "#2a2d3a",
    "--studio-hero": "linear-gradient(120deg, #1d1b5e, #3b37c0 70%, #1f6573)",
  },
});
