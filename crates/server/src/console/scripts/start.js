localTimes(document);
startActions();
startDeploy();
startPalette();
follow();
if (document.body.dataset.events) document.addEventListener("visibilitychange", refresh);
startCalls().catch((error) => {
  $("exports").replaceChildren(element("p", { className: "alert bad", textContent: `The server did not answer: ${error.message}` }));
});
