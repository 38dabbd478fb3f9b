import { Button, ColorInput, Group, SegmentedControl, SimpleGrid, Slider, Stack, Text, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Take } from "../../api/types";
import { Note } from "../../components/Note";
import { useFormat } from "../../i18n/format";
import { ContactSheet } from "./ContactSheet";
import { lengthOf } from "./length";
import { type Layer, pictureOf } from "./picture";

const LAYERS = ["keyed", "original", "alpha", "face", "hair", "shoulders"] as const satisfies readonly Layer[];

const WIDTH = 720;

/** The person cut out of the screen, at any moment of the take and before any colour. */
export function MatteStep({ take, onNext }: { take: Take; onNext: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const length = lengthOf(take);
  const [seconds, setSeconds] = useState(Math.min(1, length / 2));
  const [settled] = useDebouncedValue(seconds, 120);
  const [layer, setLayer] = useState<Layer>("keyed");
  const [colour, setColour] = useState("");
  const [broken, setBroken] = useState(false);
  const source = pictureOf(take, settled, layer, WIDTH);
  return (
    <Stack gap="lg">
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="lg" style={{ alignItems: "start" }}>
        <div className={colour === "" ? "checker picture" : "picture"} style={{ backgroundColor: colour, overflow: "hidden" }}>
          <img
            className="picture"
            src={source}
            alt={t("matte.alt", { layer: t(`layer.${layer}`) })}
            data-matte={layer}
            onLoad={() => setBroken(false)}
            onError={() => setBroken(true)}
          />
          {broken && <Note tone="error" title={t("matte.broken")} />}
        </div>
        <Stack className="panel" gap="lg">
          <Title order={2} size="h4">
            {t("matte.title")}
          </Title>
          <Text size="sm" c="dimmed">
            {t("matte.lead")}
          </Text>
          <SegmentedControl
            aria-label={t("matte.layers")}
            className="wraps"
            value={layer}
            onChange={(value) => setLayer(LAYERS.find((name) => name === value) ?? "keyed")}
            data={LAYERS.map((name) => ({ value: name, label: t(`layer.${name}`) }))}
          />
          <div>
            <Text size="sm" fw={500} mb={8}>
              {t("matte.moment")} · {format.number(seconds, 1)} s
            </Text>
            <Slider
              min={0}
              max={Math.max(0.1, length - 0.1)}
              step={0.04}
              label={(value) => `${value.toFixed(1)} s`}
              value={seconds}
              onChange={setSeconds}
              thumbLabel={t("matte.moment")}
            />
          </div>
          <ColorInput
            label={t("matte.behind")}
            placeholder={t("matte.checker")}
            format="hex"
            value={colour}
            onChange={setColour}
            eyeDropperButtonProps={{ "aria-label": t("background.dropper") }}
            swatches={["#ffffff", "#202830", "#274690", "#c0392b", "#f2e8cf"]}
          />
          <Group justify="flex-end">
            <Button size="md" onClick={onNext}>
              {t("matte.next")}
            </Button>
          </Group>
        </Stack>
      </SimpleGrid>
      <ContactSheet take={take} onMoment={setSeconds} />
    </Stack>
  );
}
