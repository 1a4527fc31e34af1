import { MassiveSMS } from "@massivesms/node";

const client = new MassiveSMS();
const receipt = { to: "+14155550123", body: "Receipt for order 1234" };
const options = { idempotencyKey: "order-1234-receipt" };
const first = await client.messages.create(receipt, options);
const again = await client.messages.create(receipt, options);
console.log(first.id === again.id, again.lastResponse.isReplayed);
