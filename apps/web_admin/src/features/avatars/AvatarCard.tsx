import { Button, Group, Stack, Text, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { address } from "../../api/connection";
import { queries } from "../../api/queries";
import type { Avatar } from "../../api/types";
import { AvatarTag } from "../../components/AvatarTag";
import { Confirm } from "../../components/Confirm";
import { ErrorNote } from "../../components/ErrorNote";
import { Icon } from "../../components/Icon";
import { LinkButton } from "../../components/LinkButton";
import { ExportModal } from "../../components/ExportModal";
import { Versions } from "../models/Versions";
import { Withdraw } from "../../components/Withdraw";
import { ActionsModal } from "./ActionsModal";
import { FilmModal } from "./FilmModal";

export function AvatarCard({ avatar }: { avatar: Avatar }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [asking, ask] = useDisclosure();
  const [filming, film] = useDisclosure();
  const [comparing, compare] = useDisclosure();
  const [exporting, export_] = useDisclosure();
  const [acting, act] = useDisclosure();
  const models = useQuery(queries.models());
  const sessions = useQuery(queries.sessions());
  const versions = models.data?.filter((model) => model.owner_id === avatar.id).length ?? 0;
  const live = sessions.data?.some((session) => session.avatar_id === avatar.id) ?? false;
  const consequence = [t("avatars.deleteText"), versions > 0 ? t("library.deleteVersions", { count: versions }) : "", live ? t("library.deleteLive") : ""];
  const remove = useMutation({
    mutationFn: () => must(api().DELETE("/api/v1/avatars/{avatar_id}", { params: { path: { avatar_id: avatar.id } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: ["avatars"] }),
    onSettled: ask.close,
  });
  const usable = avatar.state === "ready" || avatar.state === "preview";
  return (
    <Stack className="panel" gap="sm" p="md" component="article">
      {avatar.thumbnail_url == null ? (
        <div className="thumb">
          <Icon name="avatars" size={56} />
        </div>
      ) : (
        <img className="thumb" src={address(avatar.thumbnail_url)} alt="" />
      )}
      <Group justify="space-between" wrap="nowrap">
        <Title order={2} size="h6" lineClamp={1}>
          {avatar.name}
        </Title>
        <AvatarTag state={avatar.state} />
      </Group>
      <Text size="sm" c="dimmed">
        {avatar.width}×{avatar.height} · {avatar.engine}
        {avatar.model_version !== null && ` · ${avatar.model_version}`}
      </Text>
      <Group gap="xs">
        {usable && (
          <LinkButton size="xs" to={`/live?avatar=${avatar.id}`}>
            {t("avatars.live")}
          </LinkButton>
        )}
        {usable && (
          <Button size="xs" variant="default" onClick={film.open}>
            {t("avatars.film")}
          </Button>
        )}
        {avatar.take_id !== null && (
          <LinkButton size="xs" variant="default" to={`/make/${avatar.take_id}`}>
            {t("avatars.open")}
          </LinkButton>
        )}
        <Button size="xs" variant="default" aria-label={`${t("library.versions")}: ${avatar.name}`} onClick={compare.open}>
          {t("library.versions")}
        </Button>
        {avatar.model_id !== null && (
          <Button size="xs" variant="default" aria-label={`${t("library.export")}: ${avatar.name}`} onClick={export_.open}>
            {t("library.export")}
          </Button>
        )}
        {usable && (
          <Button size="xs" variant="default" aria-label={`${t("actions.open")}: ${avatar.name}`} onClick={act.open}>
            {t("actions.open")}
          </Button>
        )}
        {usable && avatar.consent_id !== null && (
          <Withdraw name={avatar.name} begin={() => must(api().POST("/api/v1/avatars/{avatar_id}:withdraw", { params: { path: { avatar_id: avatar.id } } }))} />
        )}
        <Button size="xs" variant="default" c="var(--mantine-color-error)" aria-label={`${t("common.delete")}: ${avatar.name}`} onClick={ask.open}>
          {t("common.delete")}
        </Button>
      </Group>
      {remove.isError && <ErrorNote error={remove.error} />}
      {comparing && <Versions ownerId={avatar.id} name={avatar.name} onClose={compare.close} />}
      {acting && <ActionsModal avatar={avatar} onClose={act.close} />}
      {exporting && (
        <ExportModal name={avatar.name} begin={(passphrase) => must(api().POST("/api/v1/avatars:export", { body: { avatar_id: avatar.id, passphrase, formats: [] } }))} onClose={export_.close} />
      )}
      <FilmModal avatar={avatar} opened={filming} onClose={film.close} />
      <Confirm
        opened={asking}
        title={t("avatars.deleteTitle", { name: avatar.name })}
        consequence={consequence.filter((text) => text !== "").join(" ")}
        action={t("common.delete")}
        busy={remove.isPending}
        onConfirm={() => remove.mutate()}
        onClose={ask.close}
      />
    </Stack>
  );
}
