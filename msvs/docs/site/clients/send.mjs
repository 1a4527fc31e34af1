const answer = await fetch("https://api.massivesms.com/v1/messages", {
  method: "POST",
  headers: {
    Authorization: `Bearer ${process.env.KEY}`,
    "Content-Type": "application/json",
    "Idempotency-Key": "order-1042-confirmation",
  },
  body: JSON.stringify({ to: "+14155550123", body: "Doors open at 8pm ET." }),
});
const message = await answer.json();
if (!answer.ok) throw new Error(message.error.message);
console.log(message.id, message.status);
