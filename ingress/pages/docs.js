// Shows the document that the page names. Nothing is asked of another host, and the token is not kept.
Scalar.createApiReference("#app", {
  url: document.documentElement.dataset.document,
  hiddenClients: true, // the samples are the clients of docs/clients
  persistAuth: false,
  telemetry: false,
  withDefaultFonts: false,
  proxyUrl: "",
  agent: { disabled: true },
  mcp: { disabled: true },
  hideClientButton: true,
  showDeveloperTools: "never",
  documentDownloadType: "direct",
});
