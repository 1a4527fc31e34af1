import { MassiveSMS } from "@massivesms/node";

const client = new MassiveSMS(); // MASSIVESMS_API_KEY
const message = await client.messages.create({
  to: "+14155550123",
  body: "Hey {firstName}, cart closes tonight at 8pm ET. Reply STOP to opt out.",
  variables: { firstName: "Maria" },
  metadata: { campaign: "cohort_06_close" },
});
console.log(message.id, message.status, message.segments);
