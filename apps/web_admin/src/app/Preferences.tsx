import { ActionIcon, Button, Group, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { signOut } from "../api/connection";
import { Icon } from "../components/Icon";
import { chooseLanguage } from "../i18n";

/** Language and light or dark, changed at once; and signing out in a plain browser. */
export function Preferences({ signedIn = true }: { signedIn?: boolean }) {
  const { t, i18n } = useTranslation();
  const { setColorScheme } = useMantineColorScheme();
  const dark = useComputedColorScheme("light") === "dark";
  const english = i18n.language === "en";
  return (
    <Group gap="xs" wrap="nowrap">
      <Button
        variant="subtle"
        color="gray"
        c="var(--mantine-color-text)"
        size="compact-md"
        lang={english ? "zh-CN" : "en"}
        onClick={() => chooseLanguage(english ? "zh-CN" : "en")}
      >
        {english ? "中文" : "English"}
      </Button>
      <ActionIcon
        variant="subtle"
        color="gray"
        c="var(--mantine-color-text)"
        size="lg"
        aria-label={dark ? t("common.light") : t("common.dark")}
        onClick={() => setColorScheme(dark ? "light" : "dark")}
      >
        <Icon name={dark ? "sun" : "moon"} />
      </ActionIcon>
      {signedIn && window.studio === undefined && (
        <ActionIcon variant="subtle" color="gray" c="var(--mantine-color-text)" size="lg" aria-label={t("login.out")} onClick={signOut}>
          <Icon name="out" />
        </ActionIcon>
      )}
    </Group>
  );
}
