import { defineConfig } from "vite";

// The server reads manifest.json to find the hashed names; nothing is ever loaded from elsewhere.
export default defineConfig({
  base: "/static/",
  build: {
    outDir: "../src/missioncontrol/web/static",
    emptyOutDir: true,
    manifest: "manifest.json",
    modulePreload: false,
    assetsInlineLimit: 0,
    rollupOptions: { input: "src/main.ts" },
  },
});
