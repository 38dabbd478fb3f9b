import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { queries } from "../../api/queries";
import { Empty } from "../../components/Empty";
import { LinkButton } from "../../components/LinkButton";
import { Loaded } from "../../components/Loaded";
import { PageHead } from "../../components/PageHead";
import { AvatarCard } from "./AvatarCard";

export function Avatars() {
  const { t } = useTranslation();
  const avatars = useQuery(queries.avatars());
  return (
    <>
      <PageHead title={t("avatars.title")} lead={t("avatars.lead")}>
        <LinkButton to="/make">{t("home.make")}</LinkButton>
      </PageHead>
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
