/**
 * Installers of the desktop shell: NSIS on Windows, dmg on macOS, AppImage on Linux.
 *
 * What must lie ready before: `npm run build`, and `uv` for the target in build/uv/<os>-<arch>/ (it makes the Python
 * environment at the first start). STUDIO_UPDATES_URL names the server that lists new versions; without it the installed
 * studio says that it cannot look for any.
 */
const STUDIO = ["apps/__init__.py", "apps/control_api", "lipsync", "lipbank", "ultralight", "wav2lip", "musetalk", "speech", "requirements/base.txt"];
const updates = process.env.STUDIO_UPDATES_URL;

/** @type {import("electron-builder").Configuration} */
module.exports = {
  appId: "app.livetalking.studio",
  productName: "LiveTalking Studio",
  executableName: "livetalking-studio",
  directories: { output: "release", buildResources: "build" },
  // The page and the shell are bundled: nothing of node_modules is needed at run time.
  files: ["dist/renderer/**", "dist/electron/**", "package.json", "!node_modules/**"],
  asar: true,
  extraResources: [
    ...STUDIO.map((from) => ({ from: `../../${from}`, to: `studio/${from}`, filter: ["**/*", "!**/__pycache__/**", "!**/*.pyc"] })),
    { from: "build/uv/${os}-${arch}", to: "uv" },
  ],
  electronFuses: {
    runAsNode: false,
    enableCookieEncryption: true,
    enableNodeOptionsEnvironmentVariable: false,
    enableNodeCliInspectArguments: false,
    enableEmbeddedAsarIntegrityValidation: true,
    onlyLoadAppFromAsar: true,
    loadBrowserProcessSpecificV8Snapshot: false,
    grantFileProtocolExtraPrivileges: false,
  },
  win: { target: ["nsis"], icon: "build/icon.png" },
  nsis: { oneClick: false, allowToChangeInstallationDirectory: true, perMachine: false, deleteAppDataOnUninstall: false },
  mac: {
    target: ["dmg"],
    category: "public.app-category.video",
    icon: "build/icon.png",
    hardenedRuntime: true,
    extendInfo: { NSMicrophoneUsageDescription: "The avatar hears what you say to it." },
  },
  linux: { target: ["AppImage"], category: "AudioVideo", icon: "build/icon.png" },
  publish: updates === undefined ? null : { provider: "generic", url: updates },
};
