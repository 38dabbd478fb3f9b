/** The few words the shell itself says, outside the page. */
import type { PageState } from "./bridge";

const zh = {
  name: "LiveTalking Studio",
  open: "打开工作室",
  live: "正在直播",
  training: "正在训练",
  ready: "就绪",
  starting: "正在启动",
  crashed: "没有运行",
  interrupt: "打断",
  quit: "退出",
  stay: "继续工作",
  quitNow: "仍然退出",
  whileLive: "有人正在直播。现在退出会结束直播。",
  whileTraining: "正在训练。现在退出会在下一个安全点暂停，下次启动后自动继续。",
  question: "要退出工作室吗？",
};

type Words = typeof zh;

const en: Words = {
  name: "LiveTalking Studio",
  open: "Open the studio",
  live: "Live",
  training: "Training",
  ready: "Ready",
  starting: "Starting",
  crashed: "Not running",
  interrupt: "Interrupt",
  quit: "Quit",
  stay: "Keep working",
  quitNow: "Quit all the same",
  whileLive: "Somebody is live. Quitting now ends the broadcast.",
  whileTraining: "A training is at work. Quitting pauses it at its next safe point; it goes on at the next start.",
  question: "Quit the studio?",
};

export function words(language: PageState["language"]): Words {
  return language === "en" ? en : zh;
}
