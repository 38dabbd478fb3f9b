import type { components } from "./schema.gen";

type Schemas = components["schemas"];

export type Take = Schemas["Take"];
export type Finding = Schemas["Finding"];
export type TakeReport = Schemas["TakeReport"];
export type TwoLanguages = Schemas["TwoLanguages"];
export type ConsentCreate = Schemas["ConsentCreate"];
export type Avatar = Schemas["Avatar"];
export type Voice = Schemas["Voice"];
export type Model = Schemas["Model"];
export type Job = Schemas["Job"];
export type JobLogLine = Schemas["JobLogLine"];
export type Check = Schemas["Check"];
export type Session = Schemas["Session"];
export type SessionStats = Schemas["SessionStats"];
export type TurnStats = Schemas["TurnStats"];
export type SessionCreate = Schemas["SessionCreate"];
export type Background = Schemas["Background"];
export type AuditEvent = Schemas["AuditEvent"];
export type StudioEvent = Schemas["JobEvent"] | Schemas["JobLogEvent"] | Schemas["LiveEvent"] | Schemas["SystemEvent"];
