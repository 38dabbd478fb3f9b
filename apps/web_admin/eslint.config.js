import hooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist", "node_modules", "src/api/schema.gen.ts", "test-results", "playwright-report"] },
  ...tseslint.configs.strict,
  {
    files: ["**/*.{ts,tsx}"],
    plugins: { "react-hooks": hooks },
    rules: {
      "react-hooks/rules-of-hooks": "error",
      "react-hooks/exhaustive-deps": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "max-lines": ["error", { max: 400, skipBlankLines: true, skipComments: true }],
      eqeqeq: ["error", "smart"],
      "no-console": "error",
    },
  },
  { files: ["src/i18n/**"], rules: { "max-lines": "off" } },
  { files: ["scripts/**"], rules: { "no-console": "off" }, languageOptions: { globals: { process: "readonly", console: "readonly" } } },
);
