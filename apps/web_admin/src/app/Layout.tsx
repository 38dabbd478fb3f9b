import { AppShell, Burger, Group, Loader, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { Suspense } from "react";
import { useTranslation } from "react-i18next";
import { NavLink, Outlet, useNavigation } from "react-router";
import { Icon, type IconName } from "../components/Icon";
import { Note } from "../components/Note";
import { useStreamState } from "./EventsProvider";
import { useOwnerLanguage } from "./use_owner_language";
import { useShell } from "./use_shell";
import { Preferences } from "./Preferences";

const LINKS = [
  ["/", "home"],
  ["/make", "make"],
  ["/live", "live"],
  ["/avatars", "avatars"],
  ["/voices", "voices"],
  ["/takes", "takes"],
  ["/models", "models"],
  ["/tasks", "tasks"],
  ["/audit", "audit"],
  ["/settings", "settings"],
] as const satisfies readonly (readonly [string, IconName])[];

export function Layout() {
  const { t } = useTranslation();
  const [opened, { toggle, close }] = useDisclosure();
  const lost = useStreamState() === "lost";
  const navigation = useNavigation();
  useShell();
  useOwnerLanguage();
  return (
    <AppShell header={{ height: 56 }} navbar={{ width: 216, breakpoint: "sm", collapsed: { mobile: !opened } }}>
      <a className="skip" href="#main" onClick={(event) => {
        event.preventDefault();
        document.getElementById("main")?.focus();
      }}>
        {t("common.skip")}
      </a>
      <AppShell.Header className="topbar" px="md" style={{ background: "var(--studio-surface)" }}>
        <Group h="100%" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label={t("common.menu")} />
            <img src="./icon.svg" alt="" width={28} height={28} />
            <Text fw={700} visibleFrom="xs">
              LiveTalking Studio
            </Text>
            {navigation.state === "loading" && <Loader size="xs" aria-label={t("common.loading")} />}
          </Group>
          <Preferences />
        </Group>
      </AppShell.Header>
      <AppShell.Navbar>
        <nav className="side" aria-label={t("common.menu")} style={{ height: "100%" }}>
          {LINKS.map(([to, name]) => (
            <NavLink key={to} to={to} end={to === "/"} className="navlink" onClick={close}>
              <Icon name={name} />
              {t(`nav.${name}`)}
            </NavLink>
          ))}
        </nav>
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1} style={{ outline: "none" }}>
        <div className="page">
          {lost && (
            <div style={{ marginBottom: 20 }}>
              <Note tone="warning" title={t("offline.title")}>
                <Text size="sm">{t("offline.text")}</Text>
              </Note>
            </div>
          )}
          <Suspense fallback={<Loader aria-label={t("common.loading")} />}>
            <Outlet />
          </Suspense>
        </div>
      </AppShell.Main>
    </AppShell>
  );
}
