import { Stack, Text, Title } from "@mantine/core";
import type { MouseEvent } from "react";
import { useTranslation } from "react-i18next";
import { address } from "../../api/connection";
import type { Take } from "../../api/types";
import { lengthOf } from "./length";

const COLUMNS = 6;
const ROWS = 2;

/** The moment a place on the sheet shows, as shares of its width and height; each cell is the middle of its part. */
export function momentAt(x: number, y: number, length: number): number {
  const clamp = (value: number, most: number) => Math.min(Math.max(Math.floor(value), 0), most - 1);
  const cell = clamp(y * ROWS, ROWS) * COLUMNS + clamp(x * COLUMNS, COLUMNS);
  return ((cell + 0.5) * length) / (COLUMNS * ROWS);
}

/** The whole take at one look: as filmed and, below each, cut out. A click goes to that moment. */
export function ContactSheet({ take, onMoment }: { take: Take; onMoment: (seconds: number) => void }) {
  const { t } = useTranslation();
  if (typeof take.sheet_url !== "string") return null;
  const url = new URL(address(take.sheet_url));
  url.searchParams.set("columns", String(COLUMNS));
  url.searchParams.set("rows", String(ROWS));
  url.searchParams.set("cell", "240");
  const choose = (event: MouseEvent<HTMLImageElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    onMoment(momentAt((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height, lengthOf(take)));
  };
  return (
    <Stack className="panel" gap="sm" component="section">
      <Title order={2} size="h4">
        {t("matte.sheet")}
      </Title>
      <Text size="sm" c="dimmed">
        {t("matte.sheetLead")}
      </Text>
      <img className="picture" style={{ cursor: "pointer" }} src={url.toString()} alt={t("matte.sheetAlt")} loading="lazy" onClick={choose} data-sheet />
    </Stack>
  );
}
