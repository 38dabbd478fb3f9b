import { MantineProvider } from "@mantine/core";
import { fireEvent, render, screen } from "@testing-library/react";
import i18next from "i18next";
import type { ReactNode } from "react";
import { act } from "react";
import { afterEach, expect, it, vi } from "vitest";
import { ApiError } from "../../src/api/errors";
import { DropZone } from "../../src/components/DropZone";
import { ErrorNote } from "../../src/components/ErrorNote";
import { FindingList } from "../../src/components/FindingList";

const show = (node: ReactNode) => render(<MantineProvider>{node}</MantineProvider>);

afterEach(() => i18next.changeLanguage("en"));

const finding = (code: string, severity: "ok" | "warning" | "error") => ({
  code,
  severity,
  message: { "zh-CN": `${code} 中文`, en: `${code} english` },
  remedy: { "zh-CN": "请处理", en: "do this" },
});

it("shows an error in the reader's language alone", async () => {
  await act(() => i18next.changeLanguage("zh-CN"));
  show(<ErrorNote error={new ApiError(429, "too_many", "The cap is reached.", "Close one.")} />);
  expect(screen.getByRole("alert").textContent).toMatch(/^[^A-Za-z]+$/);
  await act(() => i18next.changeLanguage("en"));
  expect(screen.getByRole("alert").textContent).toBe("The cap is reached.Close one.");
});

it("offers to try again where that is possible", () => {
  const again = vi.fn();
  show(<ErrorNote error={new ApiError(0, "offline", "")} onRetry={again} />);
  fireEvent.click(screen.getByRole("button", { name: "Try again" }));
  expect(again).toHaveBeenCalledOnce();
});

it("puts the worst finding first and folds those in order", async () => {
  await act(() => i18next.changeLanguage("en"));
  const { container } = show(<FindingList findings={[finding("a", "ok"), finding("b", "warning"), finding("c", "error")]} />);
  expect([...container.querySelectorAll("[data-finding]")].map((node) => node.getAttribute("data-finding"))).toEqual(["c", "b", "a"]);
  expect(container.querySelector("details [data-finding]")?.textContent).not.toContain("do this");
  expect(container.querySelector("summary")?.textContent).toBe("1 point is in order");
});

it("takes a file that is dropped, and none while it is disabled", () => {
  const onFile = vi.fn();
  const file = new File(["x"], "a.mp4");
  const zone = (disabled: boolean) => (
    <MantineProvider>
      <DropZone label="Drop" hint="h" accept="video/*" file={null} describe={() => ""} disabled={disabled} onFile={onFile} />
    </MantineProvider>
  );
  const { rerender, container } = render(zone(true));
  const target = () => container.querySelector(".drop") as HTMLElement;
  fireEvent.drop(target(), { dataTransfer: { files: [file] } });
  expect(onFile).not.toHaveBeenCalled();
  rerender(zone(false));
  fireEvent.drop(target(), { dataTransfer: { files: [file] } });
  expect(onFile).toHaveBeenCalledWith(file);
});
