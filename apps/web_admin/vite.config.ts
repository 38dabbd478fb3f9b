import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const api = process.env.STUDIO_API ?? "http://127.0.0.1:9001";

/** The page. Relative addresses, so that the control API and the desktop shell serve the same files. */
export default defineConfig({
  base: "./",
  plugins: [react()],
  build: {
    outDir: "dist/renderer",
    emptyOutDir: true,
    target: "es2022",
    manifest: true,
    chunkSizeWarningLimit: 700,
  },
  server: {
    host: "127.0.0.1",
    proxy: { "/api": { target: api, ws: true } },
  },
});
