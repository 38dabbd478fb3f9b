import { ColorInput, FileInput, Progress, Select, Stack, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Background } from "../../api/types";
import { sendInParts } from "../../api/upload";
import { ErrorNote } from "../../components/ErrorNote";

const KINDS = ["original", "colour", "blur", "image", "video"] as const;
const ACCEPT = { image: "image/png,image/jpeg,image/webp", video: "video/mp4,video/webm,video/quicktime" } as const;

/** What a broadcast begins with: nobody wants to see the green screen. */
export const CALM: Background = { kind: "colour", colour: "#202830", upload_id: null };

interface BackgroundChoiceProps {
  readonly value: Background;
  readonly onChange: (value: Background) => void;
}

/** What stands behind the person; a picture or film is sent as soon as it is chosen. */
export function BackgroundChoice({ value, onChange }: BackgroundChoiceProps) {
  const { t } = useTranslation();
  const [sent, setSent] = useState(0);
  const upload = useMutation({
    mutationFn: (file: File) => sendInParts(file, (bytes) => setSent(bytes / file.size), new AbortController().signal),
    onSuccess: (id) => onChange({ ...value, upload_id: id }),
  });
  const kind = value.kind;
  const choose = (next: string | null) => {
    const found = KINDS.find((name) => name === next);
    if (found === undefined) return;
    upload.reset();
    onChange({ kind: found, colour: value.colour, upload_id: null });
  };
  return (
    <Stack gap="xs">
      <Select
        label={t("background.label")}
        value={kind}
        onChange={choose}
        allowDeselect={false}
        data={KINDS.map((name) => ({ value: name, label: t(`background.${name}`) }))}
      />
      {kind === "colour" && (
        <ColorInput
          label={t("background.pick")}
          format="hex"
          value={value.colour}
          eyeDropperButtonProps={{ "aria-label": t("background.dropper") }}
          onChange={(colour) => onChange({ ...value, colour })}
          swatches={["#202830", "#ffffff", "#00b140", "#274690", "#7d1d3f", "#f2e8cf"]}
        />
      )}
      {(kind === "image" || kind === "video") && (
        <>
          <FileInput
            label={t(`background.file.${kind}`)}
            placeholder={t("background.choose")}
            accept={ACCEPT[kind]}
            onChange={(file) => file !== null && upload.mutate(file)}
          />
          {upload.isPending && <Progress value={sent * 100} aria-label={t("background.sending")} />}
          {upload.isSuccess && <Text size="sm">{t("background.sent")}</Text>}
          {upload.isError && <ErrorNote error={upload.error} />}
        </>
      )}
    </Stack>
  );
}

/** Whether a choice is complete: a picture or film must have arrived. */
export function isComplete(value: Background): boolean {
  return (value.kind !== "image" && value.kind !== "video") || value.upload_id !== null;
}
