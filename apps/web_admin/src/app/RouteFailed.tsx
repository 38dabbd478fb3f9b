import { Button, Container } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { useRouteError } from "react-router";
import { ErrorNote } from "../components/ErrorNote";

/** A page that failed to load or to draw; the rest of the studio goes on. */
export function RouteFailed() {
  const { t } = useTranslation();
  return (
    <Container size="sm" py={80} component="main">
      <ErrorNote error={useRouteError()} />
      <Button mt="md" variant="default" onClick={() => window.location.reload()}>
        {t("common.reload")}
      </Button>
    </Container>
  );
}
