"""The texts of letters: a subject and paragraphs for each kind and language; a link follows the first paragraph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

CLOSING: Mapping[str, str] = {
    "en": "MassiveSMS. Replies to this address are not read.",
    "pt-BR": "MassiveSMS. Ninguém lê as respostas a este endereço.",
    "es": "MassiveSMS. Nadie lee las respuestas a esta dirección.",
}

BODIES: Mapping[str, Mapping[str, Sequence[str]]] = {
    "confirm_email": {
        "en": (
            "Confirm your e-mail address",
            "Somebody signed up for MassiveSMS with this address. If it was you, open this link within 24 hours:",
            "If it was not you, do nothing: the address counts only once it is confirmed.",
        ),
        "pt-BR": (
            "Confirme seu endereço de e-mail",
            "Alguém se cadastrou na MassiveSMS com este endereço. Se foi você, abra este link em até 24 horas:",
            "Se não foi você, não faça nada: o endereço só vale depois de confirmado.",
        ),
        "es": (
            "Confirma tu dirección de correo",
            "Alguien se registró en MassiveSMS con esta dirección. Si fuiste tú, abre este enlace antes de 24 horas:",
            "Si no fuiste tú, no hagas nada: la dirección solo cuenta cuando está confirmada.",
        ),
    },
    "address_known": {
        "en": (
            "You already have an account",
            "Somebody signed up for MassiveSMS with this address, which already has an account. Log in to yours here:",
            "If it was not you, do nothing: nothing in your account has changed, and the other"
            " person was not told about it.",
        ),
        "pt-BR": (
            "Você já tem uma conta",
            "Alguém se cadastrou na MassiveSMS com este endereço, que já tem uma conta. Para entrar na sua:",
            "Se não foi você, não faça nada: nada mudou na sua conta, e a pessoa não soube dela.",
        ),
        "es": (
            "Ya tienes una cuenta",
            "Alguien se registró en MassiveSMS con esta dirección, que ya tiene una cuenta. Para entrar en la tuya:",
            "Si no fuiste tú, no hagas nada: nada cambió en tu cuenta, y a esa persona no se le habló de ella.",
        ),
    },
    "password_reset": {
        "en": (
            "Set a new password",
            "Somebody asked for a new password for your account. If it was you, open this link within an hour:",
            "If it was not you, do nothing: your password stays as it is.",
        ),
        "pt-BR": (
            "Defina uma nova senha",
            "Alguém pediu uma nova senha para a sua conta. Se foi você, abra este link em até uma hora:",
            "Se não foi você, não faça nada: sua senha continua a mesma.",
        ),
        "es": (
            "Define una contraseña nueva",
            "Alguien pidió una contraseña nueva para tu cuenta. Si fuiste tú, abre este enlace antes de una hora:",
            "Si no fuiste tú, no hagas nada: tu contraseña sigue siendo la misma.",
        ),
    },
    "password_changed": {
        "en": (
            "Your password was changed",
            "The password of your account was changed, and every other session of yours has ended.",
            "If it was not you, set a new one now and tell the owner of your workspace.",
        ),
        "pt-BR": (
            "Sua senha foi alterada",
            "A senha da sua conta foi alterada, e todas as suas outras sessões terminaram.",
            "Se não foi você, defina outra agora e avise o proprietário do seu espaço de trabalho.",
        ),
        "es": (
            "Tu contraseña ha cambiado",
            "La contraseña de tu cuenta ha cambiado, y todas tus demás sesiones han terminado.",
            "Si no fuiste tú, define otra ahora y avisa al propietario de tu espacio de trabajo.",
        ),
    },
    "email_change": {
        "en": (
            "Confirm your new e-mail address",
            "You asked to use this address for your account. Open this link within 24 hours:",
            "Until then, your old address stays in use.",
        ),
        "pt-BR": (
            "Confirme seu novo endereço de e-mail",
            "Você pediu para usar este endereço na sua conta. Abra este link em até 24 horas:",
            "Até lá vale o endereço anterior.",
        ),
        "es": (
            "Confirma tu nueva dirección de correo",
            "Pediste usar esta dirección en tu cuenta. Abre este enlace antes de 24 horas:",
            "Hasta entonces cuenta la dirección anterior.",
        ),
    },
    "email_changed": {
        "en": (
            "The e-mail address of your account is being changed",
            "Somebody who is logged in as you asked to change the address of your account to {address}.",
            "If it was not you, log in, end your other sessions and set a new password now.",
        ),
        "pt-BR": (
            "O endereço de e-mail da sua conta está sendo alterado",
            "Alguém que entrou como você pediu para alterar o endereço da sua conta para {address}.",
            "Se não foi você, entre, encerre suas outras sessões e defina uma nova senha agora.",
        ),
        "es": (
            "La dirección de correo de tu cuenta está cambiando",
            "Alguien que ha entrado como tú pidió cambiar la dirección de tu cuenta a {address}.",
            "Si no fuiste tú, entra, termina tus demás sesiones y define una contraseña nueva ahora.",
        ),
    },
    "invitation": {
        "en": (
            "You are invited to {workspace}",
            "{inviter} invites you to the workspace {workspace} on MassiveSMS. Accept within 7 days:",
            "If you do not know this person, do nothing.",
        ),
        "pt-BR": (
            "Você recebeu um convite para {workspace}",
            "{inviter} oferece a você um lugar no espaço de trabalho {workspace} na MassiveSMS. Aceite em até 7 dias:",
            "Se você não conhece essa pessoa, não faça nada.",
        ),
        "es": (
            "Te invitan a {workspace}",
            "{inviter} te ofrece un lugar en el espacio de trabajo {workspace} de MassiveSMS. Tómalo antes de 7 días:",
            "Si no conoces a esa persona, no hagas nada.",
        ),
    },
    "new_device": {
        "en": (
            "A new device logged in",
            "Somebody logged in to your account from a new device: {device}, network {network}, at {at}.",
            "If it was not you, end that session and set a new password now.",
        ),
        "pt-BR": (
            "Um novo dispositivo entrou",
            "Alguém entrou na sua conta com um dispositivo novo para ela: {device}, rede {network}, em {at}.",
            "Se não foi você, encerre essa sessão e defina uma nova senha agora.",
        ),
        "es": (
            "Ha entrado un dispositivo nuevo",
            "Alguien entró en tu cuenta con un dispositivo nuevo para ella: {device}, red {network}, el {at}.",
            "Si no fuiste tú, termina esa sesión y define una contraseña nueva ahora.",
        ),
    },
    "second_factor_changed": {
        "en": (
            "The second factor of your account was changed",
            "The second factor of your account was changed at {at}: {change}.",
            "If it was not you, end your other sessions and set a new password now.",
        ),
        "pt-BR": (
            "O segundo fator da sua conta foi alterado",
            "O segundo fator da sua conta foi alterado em {at}: {change}.",
            "Se não foi você, encerre suas outras sessões e defina uma nova senha agora.",
        ),
        "es": (
            "El segundo factor de tu cuenta ha cambiado",
            "El segundo factor de tu cuenta cambió el {at}: {change}.",
            "Si no fuiste tú, termina tus demás sesiones y define una contraseña nueva ahora.",
        ),
    },
    "top_up_paid": {
        "en": (
            "{workspace} bought {credits} credits",
            "Automatic top-up charged {price} to the card that ends in {card}, and {credits} credits are in the balance"
            " of {workspace}. The receipt is here, and so is the switch that turns it off:",
        ),
        "pt-BR": (
            "{workspace} comprou {credits} créditos",
            "A recarga automática cobrou {price} no cartão com final {card}, e {credits} créditos estão no saldo de"
            " {workspace}. Aqui estão o recibo e o botão para desativá-la:",
        ),
        "es": (
            "{workspace} compró {credits} créditos",
            "La recarga automática cobró {price} a la tarjeta terminada en {card}, y {credits} créditos están en el"
            " saldo de {workspace}. Aquí están el recibo y el botón para desactivarla:",
        ),
    },
    "top_up_declined": {
        "en": (
            "A card of {workspace} was declined",
            "Automatic top-up could not charge {price} to the card that ends in {card}. It will try again. To buy"
            " credits of {workspace} now, or with another card:",
        ),
        "pt-BR": (
            "Um cartão de {workspace} foi recusado",
            "A recarga automática não conseguiu cobrar {price} no cartão com final {card}. Ela tentará de novo. Para"
            " comprar créditos de {workspace} agora, ou com outro cartão:",
        ),
        "es": (
            "Una tarjeta de {workspace} fue rechazada",
            "La recarga automática no pudo cobrar {price} a la tarjeta terminada en {card}. Lo intentará de nuevo. Para"
            " comprar créditos de {workspace} ahora, o con otra tarjeta:",
        ),
    },
    "top_up_off": {
        "en": (
            "Automatic top-up of {workspace} is off",
            "The card that ends in {card} is no longer charged. To see why, and to buy credits for {workspace} with a"
            " card that automatic top-up can charge:",
        ),
        "pt-BR": (
            "A recarga automática de {workspace} está desativada",
            "Nada mais é cobrado no cartão com final {card}. Para ver por quê, e comprar créditos de {workspace} com um"
            " cartão que passa a ser cobrado:",
        ),
        "es": (
            "La recarga automática de {workspace} está desactivada",
            "Ya no se cobra nada a la tarjeta terminada en {card}. Para ver por qué, y comprar créditos de {workspace}"
            " con una tarjeta que se cobrará desde entonces:",
        ),
    },
    "top_up_authenticate": {
        "en": (
            "Your bank asks you to confirm a payment of {workspace}",
            "The bank of the card that ends in {card} asks its owner to confirm {price}. Nothing was charged, and"
            " automatic top-up is off. Buy {credits} credits for {workspace} here, where your bank can ask you; this"
            " turns automatic top-up on again:",
        ),
        "pt-BR": (
            "Seu banco pede sua confirmação: créditos de {workspace}",
            "O banco do cartão com final {card} pede que o titular confirme {price}. Nada foi cobrado, e a recarga"
            " automática está desativada. Compre {credits} créditos de {workspace} aqui, onde seu banco pode pedir a"
            " confirmação; depois ela volta a funcionar:",
        ),
        "es": (
            "Tu banco pide tu confirmación: créditos de {workspace}",
            "El banco de la tarjeta terminada en {card} pide que su titular confirme {price}. No se cobró nada, y la"
            " recarga automática está desactivada. Compra {credits} créditos de {workspace} aquí, donde tu banco puede"
            " pedírtelo; después se activa de nuevo:",
        ),
    },
    "top_up_limited": {
        "en": (
            "Automatic top-up of {workspace} has reached its limit",
            "Credits of {workspace} are low. Another {price} would be beyond what may be charged in a day or a month to"
            " the card that ends in {card}, so nothing is charged until {until}. To buy credits now, or to raise the"
            " limits:",
        ),
        "pt-BR": (
            "A recarga automática de {workspace} chegou ao limite",
            "{workspace} tem poucos créditos. Mais {price} passariam do que pode ser cobrado por dia ou por mês no"
            " cartão com final {card}, e por isso nada é cobrado até {until}. Para comprar créditos agora, ou aumentar"
            " os limites:",
        ),
        "es": (
            "La recarga automática de {workspace} llegó a su límite",
            "A {workspace} le quedan pocos créditos. Otros {price} superarían lo que se puede cobrar en un día o un mes"
            " a la tarjeta terminada en {card}, así que no se cobra nada hasta {until}. Para comprar créditos ahora, o"
            " subir los límites:",
        ),
    },
}

# Notifications by mail; the last paragraph of each says where they are turned off.
_WHY: Mapping[str, str] = {
    "en": "You get this e-mail because of your choice or your role. Change it in the dashboard"
    " under Notifications, By mail.",
    "pt-BR": "Você recebe isto porque escolheu, ou pelo seu papel. Mude em Notificações, Por e-mail no painel.",
    "es": "Recibes esto porque lo elegiste, o por tu rol. Cámbialo en Notificaciones, Por correo en el panel.",
}
_NOTIFICATIONS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "credits_low": {
        "en": ("{workspace}: credits are low", "The workspace {workspace} has {count} credits left."),
        "pt-BR": ("{workspace}: poucos créditos", "O espaço de trabalho {workspace} tem {count} créditos."),
        "es": ("{workspace}: quedan pocos créditos", "Al espacio de trabajo {workspace} le quedan {count} créditos."),
    },
    "campaign_completed": {
        "en": (
            "{name} is complete",
            "The campaign {name} of {workspace} is complete: {count} messages were delivered.",
        ),
        "pt-BR": (
            "{name} terminou",
            "A campanha {name} de {workspace} terminou: {count} mensagens foram entregues.",
        ),
        "es": ("{name} ha terminado", "La campaña {name} de {workspace} ha terminado: {count} mensajes entregados."),
    },
    "campaign_paused": {
        "en": ("{name} was paused", "The campaign {name} of {workspace} was paused by the service ({reason})."),
        "pt-BR": ("{name} foi pausada", "A campanha {name} de {workspace} foi pausada pelo serviço ({reason})."),
        "es": ("{name} está en pausa", "El servicio puso en pausa la campaña {name} de {workspace} ({reason})."),
    },
    "approval_requested": {
        "en": (
            "{name} waits for approval",
            "The campaign {name} of {workspace} goes to {count} recipients and waits for a second person's approval.",
        ),
        "pt-BR": (
            "{name} aguarda aprovação",
            "A campanha {name} de {workspace} vai para {count} destinatários e aguarda a aprovação de outra pessoa.",
        ),
        "es": (
            "{name} espera aprobación",
            "La campaña {name} de {workspace} va a {count} destinatarios y espera la aprobación de otra persona.",
        ),
    },
    "approval_decided": {
        "en": ("Decision about {name}", "The campaign {name} of {workspace} was decided about ({reason})."),
        "pt-BR": ("Decisão sobre {name}", "Houve uma decisão sobre a campanha {name} de {workspace} ({reason})."),
        "es": ("Decisión sobre {name}", "Hay una decisión sobre la campaña {name} de {workspace} ({reason})."),
    },
    "import_ended": {
        "en": ("Import ended: {name}", "The import of {name} into {workspace} ended ({reason})."),
        "pt-BR": ("Importação encerrada: {name}", "A importação de {name} em {workspace} terminou ({reason})."),
        "es": ("Importación terminada: {name}", "La importación de {name} en {workspace} terminó ({reason})."),
    },
    "list_sync_stopped": {
        "en": (
            "{name} is no longer synced",
            "The list {name} of {workspace} could not be synced ({reason}). Look at its connection.",
        ),
        "pt-BR": (
            "{name} não está mais sincronizada",
            "A lista {name} de {workspace} não pôde ser sincronizada ({reason}). Verifique a conexão dela.",
        ),
        "es": (
            "{name} ya no se sincroniza",
            "La lista {name} de {workspace} no se pudo sincronizar ({reason}). Revise su conexión.",
        ),
    },
    "webhook_disabled": {
        "en": ("A webhook was disabled", "The webhook to {name} of {workspace} was disabled ({reason})."),
        "pt-BR": ("Um webhook foi desativado", "O webhook para {name} de {workspace} foi desativado ({reason})."),
        "es": ("Un webhook fue desactivado", "El webhook a {name} de {workspace} fue desactivado ({reason})."),
    },
    "sender_removed": {
        "en": (
            "{workspace} lost a sender",
            "The sender {name} no longer belongs to {workspace}; nothing is sent from it.",
        ),
        "pt-BR": (
            "{workspace} perdeu um remetente",
            "O remetente {name} não é mais de {workspace}; nada é enviado por ele.",
        ),
        "es": (
            "{workspace} perdió un remitente",
            "El remitente {name} ya no es de {workspace}; no se envía nada desde él.",
        ),
    },
    "member_joined": {
        "en": ("{name} joined {workspace}", "{name} is now a member of the workspace {workspace}."),
        "pt-BR": ("{name} entrou em {workspace}", "{name} aceitou um lugar no espaço de trabalho {workspace}."),
        "es": ("{name} se unió a {workspace}", "{name} tomó un lugar en el espacio de trabajo {workspace}."),
    },
    "workspace_deleting": {
        "en": (
            "{workspace} will be deleted",
            "An owner asked to delete the workspace {workspace}. Nothing is sent from now on, and in"
            " {count} days its data is erased. Until then an owner can cancel the deletion under Your account.",
        ),
        "pt-BR": (
            "{workspace} será excluído",
            "Um proprietário pediu a exclusão do espaço de trabalho {workspace}. Nada mais é enviado, e em {count} dias"
            " os dados são apagados; até lá um proprietário pode desistir em Sua conta.",
        ),
        "es": (
            "{workspace} se va a eliminar",
            "Un propietario pidió eliminar el espacio de trabajo {workspace}. Ya no se envía nada, y en {count} días se"
            " borran sus datos; hasta entonces un propietario puede anularlo en Tu cuenta.",
        ),
    },
    "thread_assigned": {
        "en": ("A conversation was assigned to you", "A member of {workspace} assigned a conversation to you."),
        "pt-BR": ("Uma conversa é sua", "Alguém de {workspace} passou uma conversa para você responder."),
        "es": ("Una conversación es tuya", "Alguien de {workspace} te pasó una conversación para responder."),
    },
}
NOTIFICATIONS: Mapping[str, Mapping[str, Sequence[str]]] = {
    kind: {language: (*texts, _WHY[language]) for language, texts in written.items()}
    for kind, written in _NOTIFICATIONS.items()
}
