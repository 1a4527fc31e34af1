import { MassiveSMS } from "@massivesms/node";

const client = new MassiveSMS();
const batch = await client.messages.createBatch({
  messages: [
    { to: "+14155550123", body: "Hey Maria, your seat is 12A." },
    { to: "+14155550124", body: "Hey {name}, your seat is 14C.", variables: { name: "Ana" } },
  ],
});
for (const entry of batch.data) {
  console.log(entry.index, entry.message?.id ?? entry.error?.code);
}
