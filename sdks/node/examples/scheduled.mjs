import { MassiveSMS } from "@massivesms/node";

const client = new MassiveSMS();
const message = await client.messages.create({
  to: "+14155550123",
  body: "Doors open in an hour.",
  scheduled_at: new Date(Date.now() + 3_600_000),
});
console.log(message.status, message.scheduled_at);
const canceled = await client.messages.cancel(message.id);
console.log(canceled.status);
