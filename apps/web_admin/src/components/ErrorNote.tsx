import { Button, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { ApiError } from "../api/errors";
import { FindingList } from "./FindingList";
import { Note } from "./Note";

const KNOWN = [
  "offline",
  "unauthorised",
  "not_found",
  "conflict",
  "forbidden",
  "too_many",
  "too_large",
  "unavailable",
  "no_space",
  "bad_bundle",
  "invalid_input",
  "cancelled",
  "microphone",
] as const;
type Known = (typeof KNOWN)[number];

function known(code: string): Known | "internal" {
  return KNOWN.find((name) => name === code) ?? "internal";
}

interface ErrorNoteProps {
  readonly error: unknown;
  readonly onRetry?: () => void;
}

/** What went wrong and what to do, in the reader's language; with every reason where the studio gave reasons. */
export function ErrorNote({ error, onRetry }: ErrorNoteProps) {
  const { t, i18n } = useTranslation();
  const failure = error instanceof ApiError ? error : new ApiError(0, "internal", String(error));
  const code = known(failure.code);
  // The studio's own sentences are English; in another language the words for the code stand in for them.
  const own = i18n.language === "en" && failure.message !== "" && failure.reasons.length === 0;
  return (
    <Note tone="error" title={own ? failure.message : t(`errors.${code}.message`)}>
      <Text size="sm" mt={4}>
        {own && failure.remedy !== "" ? failure.remedy : t(`errors.${code}.remedy`)}
      </Text>
      {failure.reasons.length > 0 && <FindingList findings={failure.reasons} />}
      {onRetry !== undefined && (
        <Button size="xs" variant="default" mt="sm" onClick={onRetry}>
          {t("common.retry")}
        </Button>
      )}
    </Note>
  );
}
