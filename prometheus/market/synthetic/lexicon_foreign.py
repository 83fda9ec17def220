"""German and French templates: fewer topics, grouped by the mood they share."""

from __future__ import annotations

from prometheus.market.synthetic.grammar import Texts

MOODS: dict[str, str] = {
    "LIQUIDITY": "STRESS", "DEFAULTS": "STRESS", "BANK_RUN": "STRESS", "POLICY_EASING": "STRESS",
    "SAFE_HAVEN": "CAUTION", "CREDIT_SPREADS": "CAUTION", "MACRO_WEAK": "CAUTION",
    "POLICY_STEADY": "STEADY", "MACRO_STEADY": "STEADY", "CARRY_TRADE": "APPETITE", "LISTINGS": "APPETITE",
    "MARKET_WRAP": "WRAP", "EARNINGS": "RESULTS", "PRODUCT": "BUSINESS", "LEGAL": "DISPUTE",
    "ANALYST_RATING": "MOVE", "PRICE_MOVE": "MOVE", "GUIDANCE_CUT": "WARNING", "LAYOFFS": "WARNING",
    "BUYBACK": "PAYOUT", "DEAL": "DEAL",
}  # fmt: skip
"""Group of templates for every topic."""

RULES: dict[str, dict[str, tuple[str, ...]]] = {
    "DE": {
        "segment": ("Geldmarkt", "Interbankenmarkt", "Markt für kurzfristige Schulden"),
        "haven": ("Staatsanleihen", "Gold", "den Schweizer Franken"),
        "indicator": ("Industrieproduktion", "Auftragseingänge", "Inflationsrate", "Einkaufsmanagerindex"),
        "target": ("Schwellenländeranleihen", "Hochzinsanleihen", "den mexikanischen Peso"),
        "speaker": ("ein Händler", "eine Analystin von {house}", "ein Stratege von {house}"),
        "house": ("Northgate Securities", "Union Quay Bank", "Calder Partners"),
    },
    "FR": {
        "segment": ("le marché monétaire", "le marché interbancaire", "la dette à court terme"),
        "haven": ("les obligations d'État", "l'or", "le franc suisse"),
        "indicator": ("la production industrielle", "les commandes", "le taux d'inflation", "la confiance des ménages"),
        "target": ("la dette émergente", "le crédit à haut rendement", "le peso mexicain"),
        "speaker": ("un opérateur", "une analyste de {house}", "un stratégiste de {house}"),
        "house": ("Northgate Securities", "Union Quay Bank", "Calder Partners"),
    },
}

_DE = {
    "STRESS": Texts(
        (
            "Panik am {segment}: Banken horten Liquidität",
            "Kunden ziehen Milliarden von Regionalbank ab",
            "Zahlungsausfälle häufen sich, Notenbank greift ein",
        ),
        (
            "Am {segment} stiegen die Sätze um {bps} Basispunkte, weil kaum noch jemand Geld verleiht.",
            "Die Aufsicht übernahm die Kontrolle über ein Institut, das Abhebungen nicht mehr bedienen konnte.",
        ),
        ('"Das Vertrauen ist weg", sagte {speaker}.', "Europäische Aktien {move} um {pct} Prozent."),
    ),
    "CAUTION": Texts(
        (
            "Anleger flüchten in {haven}",
            "Schwache Daten ({indicator}) schüren Rezessionsangst",
            "Risikoaufschläge für Unternehmensanleihen steigen um {bps} Basispunkte",
        ),
        (
            "Aus Sorge um die Konjunktur kauften Anleger {haven} und trennten sich von Aktien.",
            "Die Daten ({indicator}) lagen deutlich unter den Erwartungen.",
        ),
        ('"Vorsicht ist jetzt angebracht", sagte {speaker}.', "Zyklische Werte verloren am stärksten."),
    ),
    "STEADY": Texts(
        ("{indicator} wie erwartet", "Notenbank lässt Leitzins unverändert", "Konjunktur wächst in ruhigem Tempo"),
        (
            "Die Zahlen ({indicator}) entsprachen den Prognosen.",
            "Die Währungshüter sehen ausgewogene Risiken und warten weitere Daten ab.",
        ),
        ("Die Renditen änderten sich kaum.", "{speaker} ließ seine Prognose unverändert."),
    ),
    "APPETITE": Texts(
        ("Jagd nach Rendite treibt {target}", "Börsengänge so gefragt wie lange nicht", "Carry-Trades lohnen sich"),
        (
            "Bei niedrigen Schwankungen fließt viel Geld in {target}.",
            "Mehrere Unternehmen wollen in diesem Quartal an die Börse und treffen auf große Nachfrage.",
        ),
        ('"Das Fenster steht weit offen", sagte {speaker}.', "Die Risikoaufschläge sind so niedrig wie selten."),
    ),
    "WRAP": Texts(
        ("Europäische Aktien {move} um {pct} Prozent", "Börsenbericht: Leitindex bewegt sich um {pct} Prozent"),
        ("Der breite europäische Index und damit die Aktien insgesamt {move} um {pct} Prozent.",),
        ("{speaker} verwies auf die Nachrichtenlage.", "Die Umsätze waren durchschnittlich."),
    ),
    "RESULTS": Texts(
        ("{company} legt Quartalszahlen vor", "{company}: Umsatz verändert sich um {growth} Prozent"),
        ("Der Umsatz von {company} veränderte sich binnen Jahresfrist um {growth} Prozent.",),
        ("Der Vorstand bestätigte die Planung.", "Analysten hatten mit ähnlichen Zahlen gerechnet."),
    ),
    "BUSINESS": Texts(
        ("{company} gewinnt Großauftrag", "{company} baut Werk aus", "{company} stellt neue Produkte vor"),
        ("{company} will sein Geschäft in den kommenden Jahren ausbauen und investiert {amount} Milliarden.",),
        ("Einzelheiten nannte das Unternehmen nicht.", "Die Lieferungen beginnen im nächsten Jahr."),
    ),
    "MOVE": Texts(
        ("Aktien von {company} {move} um {pct} Prozent", "{company} im Blick: {pct} Prozent Kursbewegung"),
        ("Die Papiere von {company} {move} um {pct} Prozent.",),
        ("Auch {peer} bewegte sich deutlich.", "{house} hat die Bewertung überprüft."),
    ),
    "WARNING": Texts(
        ("{company} senkt Prognose", "{company} streicht Stellen", "Gewinnwarnung von {company}"),
        ("{company} rechnet wegen schwacher Nachfrage mit weniger Umsatz und will Kosten senken.",),
        ("Die Aktien {move} um {pct} Prozent.", '"Die Sicht ist schlecht", sagte der Finanzvorstand.'),
    ),
    "PAYOUT": Texts(
        ("{company} kauft eigene Aktien zurück", "{company} legt Aktienrückkauf auf"),
        ("{company} will eigene Aktien für bis zu {amount} Milliarden zurückkaufen.",),
        ("Das Programm läuft bis Ende nächsten Jahres.", "Günstige Finanzierung macht es möglich."),
    ),
    "DEAL": Texts(
        ("{company} prüft Übernahme", "{company} und {peer}: Spekulation über Zusammenschluss"),
        ("{company} verhandelt über den Kauf eines Bereichs von {peer} für etwa {amount} Milliarden.",),
        ("{peer} wollte sich nicht äußern.", "Günstige Finanzierung macht solche Geschäfte möglich."),
    ),
    "DISPUTE": Texts(
        ("{company} wird verklagt", "Aufsicht prüft {company}"),
        ("Kunden haben {company} verklagt; das Unternehmen weist die Vorwürfe zurück.",),
        ("Eine Anhörung wird im Frühjahr erwartet.", "{house} rechnet mit begrenzten Folgen."),
    ),
}
_FR = {
    "STRESS": Texts(
        (
            "Panique sur les banques, {segment} se grippe",
            "Ruée sur les dépôts d'une banque régionale",
            "Les défauts se multiplient, la banque centrale intervient",
        ),
        (
            "Les taux ont bondi de {bps} points de base : plus personne ne prête au jour le jour.",
            "Le superviseur a pris le contrôle d'un établissement incapable de faire face aux retraits.",
        ),
        ("« La confiance a disparu », a dit {speaker}.", "Les actions européennes {move} {pct} pour cent."),
    ),
    "CAUTION": Texts(
        (
            "Les investisseurs se réfugient vers {haven}",
            "La faiblesse de l'activité ravive la crainte d'une récession",
            "Les primes de risque s'écartent de {bps} points de base",
        ),
        (
            "Inquiets pour la croissance, les gérants ont vendu des actions et acheté {haven}.",
            "Les chiffres publiés sur {indicator} sont nettement inférieurs aux attentes.",
        ),
        ("« Mieux vaut être prudent », a dit {speaker}.", "Les valeurs cycliques ont le plus reculé."),
    ),
    "STEADY": Texts(
        ("Conjoncture : {indicator} sans surprise", "La banque centrale maintient ses taux", "Croissance régulière"),
        (
            "Les données sur {indicator} sont conformes aux prévisions.",
            "Les responsables monétaires jugent les risques équilibrés.",
        ),
        ("Les rendements ont peu varié.", "{speaker} maintient ses prévisions."),
    ),
    "APPETITE": Texts(
        ("La chasse au rendement continue : {target} en profite", "Introductions en Bourse : la fenêtre est ouverte"),
        (
            "La faible volatilité attire les capitaux vers {target}.",
            "Plusieurs sociétés veulent entrer en Bourse et la demande est forte.",
        ),
        ("« Le marché est porteur », a dit {speaker}.", "Les primes de risque sont au plus bas."),
    ),
    "WRAP": Texts(
        ("Les Bourses européennes {move} {pct} pour cent", "Clôture : l'indice large varie de {pct} pour cent"),
        ("Les actions européennes {move} {pct} pour cent sur la séance.",),
        ("{speaker} évoque l'actualité des sociétés.", "Les volumes sont restés moyens."),
    ),
    "RESULTS": Texts(
        ("{company} publie ses résultats", "{company} : chiffre d'affaires en variation de {growth} pour cent"),
        ("Le chiffre d'affaires de {company} a varié de {growth} pour cent sur un an.",),
        ("La direction confirme ses objectifs.", "Les analystes attendaient des chiffres proches."),
    ),
    "BUSINESS": Texts(
        ("{company} décroche une commande", "{company} agrandit son usine", "{company} dévoile ses nouveautés"),
        ("{company} veut développer son activité et investira {amount} milliards.",),
        ("Les détails n'ont pas été publiés.", "Les livraisons commenceront l'an prochain."),
    ),
    "MOVE": Texts(
        ("Les titres {company} {move} {pct} pour cent", "{company} : {pct} pour cent de variation en séance"),
        ("Les titres de {company} {move} {pct} pour cent.",),
        ("{peer} a aussi nettement varié.", "{house} a revu son opinion."),
    ),
    "WARNING": Texts(
        ("{company} abaisse ses prévisions", "{company} supprime des postes", "Avertissement de {company}"),
        ("{company} attend un recul de ses ventes et réduira ses coûts.",),
        ("Les titres {move} {pct} pour cent.", "« La visibilité est faible », a dit le directeur financier."),
    ),
    "PAYOUT": Texts(
        ("{company} rachète ses actions", "{company} lance un programme de rachat"),
        ("{company} rachètera jusqu'à {amount} milliards de ses actions.",),
        ("Le programme court jusqu'à la fin de l'an prochain.", "Le crédit bon marché facilite l'opération."),
    ),
    "DEAL": Texts(
        ("{company} étudie une acquisition", "{company} et {peer} : rumeurs de rapprochement"),
        ("{company} négocie l'achat d'une activité de {peer} pour environ {amount} milliards.",),
        ("{peer} n'a pas souhaité commenter.", "Le crédit bon marché facilite ces opérations."),
    ),
    "DISPUTE": Texts(
        ("{company} visée par une plainte", "Le régulateur enquête sur {company}"),
        ("Des clients ont porté plainte contre {company}, qui conteste les faits.",),
        ("Une audience est attendue au printemps.", "{house} prévoit un effet limité."),
    ),
}

FOREIGN: dict[str, dict[str, Texts]] = {"DE": _DE, "FR": _FR}
"""Templates by language and mood."""

MOVES: dict[str, tuple[str, str]] = {
    "EN": ("rose", "fell"),
    "DE": ("steigen", "fallen"),
    "FR": ("gagnent", "perdent"),
}
"""Verbs for a gain and a loss."""
