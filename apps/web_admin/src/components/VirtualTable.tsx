import { Loader } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";

export interface Column<Row> {
  readonly key: string;
  readonly head: string;
  /** A CSS grid track, such as `2fr` or `120px`. */
  readonly track: string;
  readonly end?: boolean;
  readonly cell: (row: Row) => ReactNode;
}

interface VirtualTableProps<Row> {
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string | number;
  readonly hasMore: boolean;
  readonly loadingMore: boolean;
  readonly onMore: () => void;
  readonly rowHeight?: number;
  readonly minWidth?: number;
}

const AHEAD = 40;

/** A table of any length: only the rows in sight are in the page, and the next part is fetched before it is reached. */
export function VirtualTable<Row>({ label, columns, rows, keyOf, hasMore, loadingMore, onMore, rowHeight = 56, minWidth = 760 }: VirtualTableProps<Row>) {
  const { t } = useTranslation();
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => rowHeight,
    overscan: 12,
    getItemKey: (index) => {
      const row = rows[index];
      return row === undefined ? index : keyOf(row);
    },
  });
  const shown = virtual.getVirtualItems();
  const last = shown.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && !loadingMore && last >= rows.length - AHEAD) onMore();
  }, [hasMore, loadingMore, last, rows.length, onMore]);
  const tracks = columns.map((column) => column.track).join(" ");
  return (
    <div ref={box} className="panel vtable" tabIndex={0} role="region" aria-label={label}>
      <div role="table" aria-label={label} aria-rowcount={hasMore ? -1 : rows.length + 1} style={{ minWidth }}>
        <div role="rowgroup" className="vtable-head">
          <div role="row" aria-rowindex={1} className="vtable-row" style={{ gridTemplateColumns: tracks }}>
            {columns.map((column) => (
              <div key={column.key} role="columnheader" data-end={column.end}>
                {column.head}
              </div>
            ))}
          </div>
        </div>
        <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: "relative" }}>
          {shown.map((item) => {
            const row = rows[item.index];
            if (row === undefined) return null;
            return (
              <div
                key={item.key}
                role="row"
                aria-rowindex={item.index + 2}
                data-row={keyOf(row)}
                className="vtable-row"
                style={{ gridTemplateColumns: tracks, position: "absolute", top: 0, left: 0, right: 0, height: item.size, transform: `translateY(${item.start}px)` }}
              >
                {columns.map((column) => (
                  <div key={column.key} role="cell" data-end={column.end}>
                    {column.cell(row)}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
      </div>
      {loadingMore && (
        <div className="vtable-more">
          <Loader size="sm" aria-label={t("common.loading")} />
        </div>
      )}
    </div>
  );
}
