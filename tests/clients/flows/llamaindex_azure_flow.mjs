// LlamaIndex's tool for Node, unmodified. It calls the route python/execute, and so gets flat answers.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { AzureDynamicSessionTool } from "@llamaindex/azure";

console.log = () => {}; // it prints every answer
const tool = new AzureDynamicSessionTool({
  poolManagementEndpoint: process.argv[2],
  azureADTokenProvider: async () => "any",
});
assert.equal((await tool.call({ code: "'a' * 3" })).result, "aaa");
assert.equal((await tool.call({ code: "print('a')" })).stdout, "a\n");
assert.match((await tool.call({ code: "1/0" })).stderr, /ZeroDivisionError/);

const up = await tool.uploadFile({
  data: new Blob(["shop,cups\nHarbour,310\nStation,420\n"]),
  remoteFilename: "cups.csv",
});
assert.equal(up.filename, "cups.csv");
const code =
  "import pandas as pd\nt = pd.read_csv('/mnt/data/cups.csv')\nstr(t.cups.sum())";
assert.equal((await tool.call({ code })).result, "730");
const figure = await tool.call({
  code: "import matplotlib.pyplot as plt\nplt.bar(t.shop, t.cups)\nplt.show()",
});
// Its path has the name of the file twice.
assert.equal((await readFile(dirname(figure.result))).subarray(1, 4).toString(), "PNG");
await tool.call({ code: "t.to_json('/mnt/data/cups.json')" });
const names = (await tool.listFiles()).map((file) => file.filename);
assert.deepEqual(names, ["cups.csv", "cups.json"]);
const body = await tool.downloadFile({ remoteFilename: "cups.json" });
assert.match(await new Response(body).text(), /310/);
