import "@mantine/core/styles.css";
import "./styles/app.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { startConnection } from "./api/connection";
import { App } from "./app/App";
import { Starting } from "./app/Starting";
import { StartFailed } from "./app/StartFailed";
import { startLanguages } from "./i18n";

const root = createRoot(document.getElementById("root") as HTMLElement);
await startLanguages();
if (window.studio !== undefined) root.render(<Starting />);
try {
  await startConnection();
  root.render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
} catch (error) {
  root.render(<StartFailed error={error} />);
}
