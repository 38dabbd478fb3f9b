import { builtinModules } from "node:module";
import { defineConfig } from "vite";

/** The desktop shell: main as an ES module; the preload as CommonJS, the only form a sandboxed renderer takes. */
export default defineConfig(({ mode }) => {
  const preload = mode === "preload";
  return {
    publicDir: false,
    build: {
      outDir: "dist/electron",
      emptyOutDir: !preload,
      target: "node22",
      minify: true,
      lib: {
        entry: preload ? "electron/preload.ts" : "electron/main.ts",
        formats: [preload ? "cjs" : "es"],
        fileName: () => (preload ? "preload.cjs" : "main.js"),
      },
      rollupOptions: {
        external: ["electron", /^node:/, ...builtinModules],
        // What is bundled in of CommonJS asks for Node's own modules by `require`, which an ES module has to be given.
        output: preload ? {} : { banner: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
      },
    },
  };
});
