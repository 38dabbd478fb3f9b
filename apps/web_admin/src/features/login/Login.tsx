import { Button, Container, Group, PasswordInput, Stack, Text, Title } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { signIn } from "../../api/connection";
import { offline, toApiError } from "../../api/errors";
import { Preferences } from "../../app/Preferences";
import { ErrorNote } from "../../components/ErrorNote";

/** Asks the studio whether it knows a token, before the token is kept. */
async function tryToken(token: string): Promise<string> {
  const response = await fetch("/api/v1/system/capabilities", { headers: { Authorization: `Bearer ${token}` } }).catch(() => {
    throw offline();
  });
  if (!response.ok) throw toApiError(response.status, await response.json().catch(() => null));
  return token;
}

export function Login() {
  const { t } = useTranslation();
  const [token, setToken] = useState("");
  const attempt = useMutation({ mutationFn: tryToken, onSuccess: signIn });
  useEffect(() => {
    document.title = "LiveTalking Studio";
  }, []);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    attempt.mutate(token.trim());
  };
  return (
    <>
      <Group justify="flex-end" p="sm" component="header">
        <Preferences signedIn={false} />
      </Group>
      <Container size={440} py={60} component="main">
        <Stack className="panel" gap="md" p={32}>
          <Group gap="sm">
            <img src="./icon.svg" alt="" width={40} height={40} />
            <Title order={1} size="h3">
              LiveTalking Studio
            </Title>
          </Group>
          <Text c="dimmed" size="sm">
            {t("login.text")}
          </Text>
          <form onSubmit={submit}>
            <Stack gap="sm">
              <PasswordInput
                label={t("login.token")}
                description={t("login.hint")}
                value={token}
                onChange={(event) => setToken(event.currentTarget.value)}
                autoComplete="off"
                visibilityToggleButtonProps={{ "aria-label": t("login.show") }}
                data-autofocus
              />
              {attempt.isError && <ErrorNote error={attempt.error} />}
              <Button type="submit" loading={attempt.isPending} disabled={token.trim() === ""}>
                {t("login.in")}
              </Button>
            </Stack>
          </form>
        </Stack>
      </Container>
    </>
  );
}
