import { Button, Code, Container, Title } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { Note } from "../components/Note";
import { Frame } from "./Frame";

/** The shell could not start the studio: says why, with the child's last lines, and lets the user try again. */
export function StartFailed({ error }: { error: unknown }) {
  const { t } = useTranslation();
  const restart = async () => {
    await window.studio?.restart();
    window.location.reload();
  };
  return (
    <Frame>
      <Container size="sm" py={80} component="main">
        <Title order={1} size="h2" mb="md">
          {t("start.failed")}
        </Title>
        <Note tone="error" title={t("start.reason")}>
          <Code block mt="sm">
            {error instanceof Error ? error.message : String(error)}
          </Code>
        </Note>
        <Button mt="lg" onClick={() => void restart()}>
          {t("start.again")}
        </Button>
      </Container>
    </Frame>
  );
}
