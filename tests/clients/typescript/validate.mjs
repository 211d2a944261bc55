// Judges JSON values by the document's schemas with ajv: reads {document, cases: [{ref, value}]}, writes what is wrong.
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { readFileSync } from "node:fs";

const { document, cases } = JSON.parse(readFileSync(0, "utf-8"));
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addSchema(document, "document");
const wrong = cases.flatMap(({ ref, value }) => {
  const validate = ajv.getSchema(`document${ref}`);
  return validate(value) ? [] : [{ ref, value, errors: validate.errors }];
});
process.stdout.write(JSON.stringify(wrong));
