import { defineConfig } from "vite";

// The page of SQL has an entry of its own, for its editor is as large as all else together. The server reads manifest.json to find the hashed names; nothing is ever loaded from elsewhere.
export default defineConfig({
  base: "/static/",
  build: {
    outDir: "../src/missioncontrol/web/static",
    emptyOutDir: true,
    manifest: "manifest.json",
    modulePreload: false,
    assetsInlineLimit: 0,
    rollupOptions: { input: ["src/main.ts", "src/sql/page.ts"] },
  },
});
