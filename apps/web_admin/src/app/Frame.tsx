import { MantineProvider } from "@mantine/core";
import type { ReactNode } from "react";
import { resolver, theme } from "./theme";

/** Colours and type around everything. */
export function Frame({ children }: { children: ReactNode }) {
  return (
    <MantineProvider theme={theme} cssVariablesResolver={resolver} defaultColorScheme="auto">
      {children}
    </MantineProvider>
  );
}
