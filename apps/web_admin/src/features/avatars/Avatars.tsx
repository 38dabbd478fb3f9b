import { Button } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, must } from "../../api/client";
import { queries } from "../../api/queries";
import { Empty } from "../../components/Empty";
import { ImportModal } from "../../components/ImportModal";
import { LinkButton } from "../../components/LinkButton";
import { Loaded } from "../../components/Loaded";
import { PageHead } from "../../components/PageHead";
import { AvatarCard } from "./AvatarCard";

export function Avatars() {
  const { t } = useTranslation();
  const avatars = useQuery(queries.avatars());
  const [bringing, bring] = useDisclosure();
  return (
    <>
      <PageHead title={t("avatars.title")} lead={t("avatars.lead")}>
        <Button variant="default" onClick={bring.open}>
          {t("library.import")}
        </Button>
        <LinkButton to="/make">{t("home.make")}</LinkButton>
      </PageHead>
      {bringing && (
        <ImportModal what="avatars" begin={(upload_id, consent, passphrase) => must(api().POST("/api/v1/avatars:import", { body: { upload_id, consent, passphrase } }))} onClose={bring.close} />
      )}
      <Loaded query={avatars}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty icon="avatars" title={t("avatars.emptyTitle")} text={t("avatars.emptyText")}>
              <LinkButton to="/make">{t("home.make")}</LinkButton>
            </Empty>
          ) : (
            <div className="card-grid">
              {rows.map((avatar) => (
                <AvatarCard key={avatar.id} avatar={avatar} />
              ))}
            </div>
          )
        }
      </Loaded>
    </>
  );
}
