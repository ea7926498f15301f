"""What is said in `tests.support.sound.overlaps`, in six languages."""

from typing import Final

AGREED: Final = {
    "en-us": ("[[m@m'hm]]", "[['Vh'V]]", "yeah", "yes", "okay", "right", "sure", "I see", "good"),
    "de": ("[[m@m'hm]]", "ja", "genau", "okay", "klar", "richtig", "gut", "ach so"),
    "es": ("[[m@m'hm]]", "sí", "ajá", "claro", "vale", "ya", "bien", "okay"),
    "fr": ("[[m@m'hm]]", "oui", "ouais", "d'accord", "OK", "voilà", "bien", "hein"),
    "it": ("[[m@m'hm]]", "sì", "certo", "okay", "giusto", "bene", "ah", "esatto"),
    "pt": ("[[m@m'hm]]", "sim", "tá", "certo", "claro", "pois", "okay", "é"),
}
"""Backchannels."""

INTERRUPTED: Final = {
    "en-us": (
        ("wait a moment", "stop stop", "no that is wrong", "hold on please", "excuse me, I have a question", "sorry, who is this?", "but I ordered two of them", "stop", "what does that cost?", "what do you mean by that?", "could you repeat that?", "I already told you my number", "that's not my address", "listen, I am in a hurry", "let me speak to a person", "which day did you say?", "please speak more slowly", "my name is Anna Smith", "there is a mistake", "I don't want that", "just a minute", "tomorrow is too late", "hello? hello?", "ah no, not on Monday", "never mind", "how much?", "when exactly?", "it was the red one"),
        ("wait wait", "hang on a second", "no no, not that one", "stop it please", "can I ask something?", "sorry, I did not get that", "I wanted the other one", "wait", "how long does it take?"),
    ),
    "de": (
        ("Moment mal bitte", "stopp stopp", "nein das ist falsch", "warten Sie bitte", "Entschuldigung, eine Frage", "aber ich wollte zwei davon", "halt", "was kostet das denn?", "können Sie das wiederholen?", "was meinen Sie damit?", "ich habe es eilig", "das stimmt so nicht", "welcher Tag war das?", "bitte langsamer", "ich möchte mit einem Menschen sprechen", "mein Name ist Anna Schmidt", "da ist ein Fehler", "das will ich nicht", "Moment", "morgen ist zu spät", "hallo? hallo?", "nicht am Montag", "wie viel?", "wann genau?", "es war der rote", "lassen Sie mich ausreden", "hören Sie mal", "gibt es das auch in blau?"),
        ("einen Augenblick", "halt halt", "nein nein, nicht das", "hören Sie auf", "darf ich etwas fragen?", "das habe ich nicht verstanden", "warte", "wie lange dauert das?"),
    ),
    "es": (
        ("espere un momento", "no eso no es", "perdone, una pregunta", "pero yo quería dos", "pare pare", "alto", "cuánto cuesta eso?", "no entiendo nada", "puede repetir eso?", "qué quiere decir?", "tengo prisa", "esa no es mi dirección", "qué día ha dicho?", "más despacio por favor", "quiero hablar con una persona", "me llamo Ana García", "hay un error", "no quiero eso", "un momento", "mañana es tarde", "hola? hola?", "el lunes no puedo", "cuánto?", "cuándo exactamente?", "era el rojo", "déjeme hablar", "oiga, escuche", "lo tienen en azul?"),
        ("un segundo por favor", "no no, ese no", "puedo preguntar algo?", "quería el otro", "espera espera", "basta", "cuánto tiempo tarda?", "disculpe, quién es?"),
    ),
    "fr": (
        ("attendez un instant", "non ce n'est pas ça", "excusez-moi, une question", "mais j'en voulais deux", "arrêtez", "stop stop", "combien ça coûte?", "je ne comprends pas", "vous pouvez répéter?", "qu'est-ce que ça veut dire?", "je suis pressé", "ce n'est pas mon adresse", "quel jour avez-vous dit?", "plus lentement s'il vous plaît", "je veux parler à quelqu'un", "je m'appelle Anne Martin", "il y a une erreur", "je ne veux pas ça", "un moment", "demain c'est trop tard", "allô? allô?", "pas lundi", "combien?", "quand exactement?", "c'était le rouge", "laissez-moi parler", "écoutez-moi", "vous l'avez en bleu?"),
        ("une seconde s'il vous plaît", "non non, pas celui-là", "je peux demander quelque chose?", "je voulais l'autre", "attends attends", "pardon, qui êtes-vous?", "stop", "combien de temps ça prend?"),
    ),
    "it": (
        ("aspetti un momento", "no non è giusto così", "scusi, una domanda", "ma io ne volevo due", "basta", "fermo fermo", "quanto costa questo?", "non ho capito niente", "può ripetere?", "cosa vuol dire?", "ho fretta", "non è il mio indirizzo", "che giorno ha detto?", "più piano per favore", "voglio parlare con una persona", "mi chiamo Anna Rossi", "c'è un errore", "non voglio questo", "un momento", "domani è troppo tardi", "pronto? pronto?", "lunedì non posso", "quanto?", "quando esattamente?", "era quello rosso", "mi lasci parlare", "senta, ascolti", "ce l'avete in blu?"),
        ("un attimo per favore", "no no, non quello", "posso chiedere una cosa?", "volevo l'altro", "aspetta aspetta", "scusi, chi parla?", "stop", "quanto tempo ci vuole?"),
    ),
    "pt": (
        ("espere um momento", "não isso está errado", "desculpe, uma pergunta", "mas eu queria dois", "pare pare", "chega", "quanto custa isso?", "não entendi nada", "pode repetir?", "o que quer dizer?", "estou com pressa", "esse não é o meu endereço", "que dia o senhor disse?", "mais devagar por favor", "quero falar com uma pessoa", "meu nome é Ana Silva", "há um erro", "não quero isso", "um momento", "amanhã é tarde", "alô? alô?", "segunda não posso", "quanto?", "quando exatamente?", "era o vermelho", "deixe-me falar", "escute aqui", "tem em azul?"),
        ("um segundo por favor", "não não, esse não", "posso perguntar uma coisa?", "eu queria o outro", "espera espera", "desculpe, quem fala?", "pare", "quanto tempo demora?"),
    ),
}  # fmt: skip
"""Interruptions: those of one half, and those of the other."""

SPOKEN: Final = {
    "en-us": ("hello, I am calling about my order from last week", "good morning, I would like to make an appointment"),
    "de": ("guten Tag, ich rufe wegen meiner Bestellung an", "hallo, ich hätte gern einen Termin nächste Woche"),
    "es": ("buenos días, llamo por mi pedido de la semana pasada", "hola, quisiera pedir una cita para mañana"),
    "fr": ("bonjour, j'appelle au sujet de ma commande", "bonjour, je voudrais prendre un rendez-vous demain"),
    "it": ("buongiorno, chiamo per il mio ordine di ieri", "salve, vorrei prendere un appuntamento domani"),
    "pt": ("bom dia, estou ligando sobre o meu pedido", "olá, eu gostaria de marcar uma consulta amanhã"),
}  # fmt: skip
"""What a caller has said before."""

BOT: Final = {
    "en-us": ("Thank you for calling. Your order was sent on Monday, and it should arrive tomorrow. It has four parts, which come in two boxes.", "We are open from eight to six, and on Saturday until noon. You can come at ten. Please bring your card with you."),
    "de": ("Danke für Ihren Anruf. Ihre Bestellung ging am Montag ab, und sie kommt morgen an. Sie besteht aus vier Teilen, in zwei Paketen.", "Wir haben von acht bis achtzehn Uhr offen, am Samstag bis Mittag. Sie können um zehn kommen. Bringen Sie bitte Ihre Karte mit."),
    "es": ("Gracias por llamar. Su pedido salió el lunes, y debería llegar mañana. Son cuatro partes, que vienen en dos cajas.", "Abrimos de ocho a seis, y los sábados hasta mediodía. Puede venir a las diez. Traiga su tarjeta, por favor."),
    "fr": ("Merci de votre appel. Votre commande est partie lundi, et elle devrait arriver demain. Il y a quatre pièces, dans deux cartons.", "Nous sommes ouverts de huit heures à dix-huit heures, le samedi jusqu'à midi. Vous pouvez venir à dix heures. Apportez votre carte."),
    "it": ("Grazie per la chiamata. Il suo ordine è partito lunedì, e dovrebbe arrivare domani. Sono quattro pezzi, in due scatole.", "Siamo aperti dalle otto alle sei, il sabato fino a mezzogiorno. Può venire alle dieci. Porti la sua tessera, per favore."),
    "pt": ("Obrigado por ligar. O seu pedido saiu na segunda, e deve chegar amanhã. São quatro peças, que vêm em duas caixas.", "Estamos abertos das oito às seis, e no sábado até o meio-dia. Pode vir às dez. Traga o seu cartão, por favor."),
}  # fmt: skip
"""What the bot says."""
