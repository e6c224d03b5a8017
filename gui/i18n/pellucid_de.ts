<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de" sourcelanguage="en">
    <context>
        <name>AlphaSlider</name>
        <message>
            <source>Blend between faithful and vivid, percent</source>
            <translation>Mischung zwischen getreu und lebhaft, Prozent</translation>
        </message>
    </context>
    <context>
        <name>App</name>
        <message>
            <source>The settings were damaged and start anew; the old file is kept as {path}.</source>
            <translation>Die Einstellungen waren beschädigt und beginnen von vorn; die alte Datei bleibt als {path} erhalten.</translation>
        </message>
        <message>
            <source>Something went wrong inside Pellucid: {error}</source>
            <translation>In Pellucid ist etwas schiefgegangen: {error}</translation>
        </message>
        <message>
            <source>Details are in {path}.</source>
            <translation>Einzelheiten stehen in {path}.</translation>
        </message>
    </context>
    <context>
        <name>Banner</name>
        <message>
            <source>News</source>
            <translation>Neuigkeit</translation>
        </message>
        <message>
            <source>Close this news</source>
            <translation>Diese Meldung schließen</translation>
        </message>
        <message>
            <source>Close</source>
            <translation>Schließen</translation>
        </message>
    </context>
    <context>
        <name>Commands</name>
        <message>
            <source>It took too long, or was ended from outside.</source>
            <translation>Es dauerte zu lange oder wurde von außen beendet.</translation>
        </message>
    </context>
    <context>
        <name>CompareView</name>
        <message>
            <source>Comparison: divider between before and after</source>
            <translation>Vergleich: Trennlinie zwischen vorher und nachher</translation>
        </message>
        <message>
            <source>Arrow keys pan, plus and minus zoom, 0 fits, 1 shows 100 percent, comma and dot move the divider, D, S and F choose divider, side by side and flicker; hold the space bar to see the original, L is the loupe, R draws a region to try.</source>
            <translation>Pfeiltasten verschieben, Plus und Minus zoomen, 0 passt ein, 1 zeigt 100 Prozent, Komma und Punkt bewegen die Trennlinie, D, S und F wählen Trennlinie, nebeneinander und Wechsel; Leertaste halten zeigt das Original, L ist die Lupe, R zieht einen Ausschnitt zum Probieren auf.</translation>
        </message>
    </context>
    <context>
        <name>DropArea</name>
        <message>
            <source>Drop pictures here</source>
            <translation>Bilder hierher ziehen</translation>
        </message>
        <message>
            <source>Files or whole folders. Pasting works too.</source>
            <translation>Dateien oder ganze Ordner. Einfügen geht auch.</translation>
        </message>
        <message>
            <source>&amp;Open pictures…</source>
            <translation>Bilder ö&amp;ffnen…</translation>
        </message>
        <message>
            <source>Open a &amp;folder…</source>
            <translation>&amp;Ordner öffnen…</translation>
        </message>
        <message>
            <source>JPEG, PNG, WebP, TIFF, HEIC, AVIF and more. Everything stays on this computer.</source>
            <translation>JPEG, PNG, WebP, TIFF, HEIC, AVIF und mehr. Alles bleibt auf diesem Rechner.</translation>
        </message>
    </context>
    <context>
        <name>LossPlot</name>
        <message>
            <source>Curves of the training</source>
            <translation>Kurven des Trainings</translation>
        </message>
        <message>
            <source>No values yet</source>
            <translation>Noch keine Werte</translation>
        </message>
    </context>
    <context>
        <name>ModelBox</name>
        <message>
            <source>Model</source>
            <translation>Modell</translation>
        </message>
        <message>
            <source>Models</source>
            <translation>Modelle</translation>
        </message>
    </context>
    <context>
        <name>ModelChoice</name>
        <message>
            <source>Compare models</source>
            <translation>Modelle vergleichen</translation>
        </message>
        <message>
            <source>Which models shall restore the visible region? Two to five.</source>
            <translation>Welche Modelle sollen den sichtbaren Ausschnitt restaurieren? Zwei bis fünf.</translation>
        </message>
        <message>
            <source>Compare</source>
            <translation>Vergleichen</translation>
        </message>
    </context>
    <context>
        <name>ModelsPage</name>
        <message>
            <source>Models</source>
            <translation>Modelle</translation>
        </message>
        <message>
            <source>&amp;Import a model…</source>
            <translation>Modell &amp;importieren…</translation>
        </message>
        <message>
            <source>&amp;Refresh</source>
            <translation>&amp;Aktualisieren</translation>
        </message>
        <message>
            <source>Reading the library…</source>
            <translation>Bibliothek wird gelesen…</translation>
        </message>
        <message>
            <source>The model library could not be read.</source>
            <translation>Die Modellbibliothek konnte nicht gelesen werden.</translation>
        </message>
        <message>
            <source>There are no models yet. Import one, or train your own.</source>
            <translation>Es gibt noch keine Modelle. Eines importieren oder selbst trainieren.</translation>
        </message>
        <message>
            <source>A sample: before on the left, after on the right</source>
            <translation>Eine Probe: links vorher, rechts nachher</translation>
        </message>
        <message>
            <source>Licence: {x}</source>
            <translation>Lizenz: {x}</translation>
        </message>
        <message>
            <source>not stated</source>
            <translation>nicht angegeben</translation>
        </message>
        <message>
            <source>Use</source>
            <translation>Verwenden</translation>
        </message>
        <message>
            <source>Use {name}</source>
            <translation>{name} verwenden</translation>
        </message>
        <message>
            <source>More</source>
            <translation>Mehr</translation>
        </message>
        <message>
            <source>More for {name}</source>
            <translation>Mehr zu {name}</translation>
        </message>
        <message>
            <source>Rename…</source>
            <translation>Umbenennen…</translation>
        </message>
        <message>
            <source>Remove…</source>
            <translation>Entfernen…</translation>
        </message>
        <message>
            <source>Rename</source>
            <translation>Umbenennen</translation>
        </message>
        <message>
            <source>New name of {name}:</source>
            <translation>Neuer Name von {name}:</translation>
        </message>
        <message>
            <source>Delete {name} from the library? Its file is gone then.</source>
            <translation>{name} aus der Bibliothek löschen? Die Datei ist dann weg.</translation>
        </message>
        <message>
            <source>Remove</source>
            <translation>Entfernen</translation>
        </message>
        <message>
            <source>It did not work.</source>
            <translation>Das hat nicht geklappt.</translation>
        </message>
        <message>
            <source>{n} parameters</source>
            <translation>{n} Parameter</translation>
        </message>
        <message>
            <source>pairs with {name}</source>
            <translation>bildet ein Paar mit {name}</translation>
        </message>
        <message>
            <source>default on this computer</source>
            <translation>Vorgabe auf diesem Rechner</translation>
        </message>
        <message>
            <source>Import a model</source>
            <translation>Modell importieren</translation>
        </message>
        <message>
            <source>Importing {name}…</source>
            <translation>{name} wird importiert…</translation>
        </message>
        <message>
            <source>{name} was not imported.</source>
            <translation>{name} wurde nicht importiert.</translation>
        </message>
        <message>
            <source>{name} is in the library.</source>
            <translation>{name} ist in der Bibliothek.</translation>
        </message>
        <message>
            <source>Save as model</source>
            <translation>Als Modell speichern</translation>
        </message>
        <message>
            <source>Name of the new model:</source>
            <translation>Name des neuen Modells:</translation>
        </message>
    </context>
    <context>
        <name>OptionsPanel</name>
        <message>
            <source>Model</source>
            <translation>Modell</translation>
        </message>
        <message>
            <source>Compare models…</source>
            <translation>Modelle vergleichen…</translation>
        </message>
        <message>
            <source>Show what several models make of the visible region side by side</source>
            <translation>Zeigt nebeneinander, was mehrere Modelle aus dem sichtbaren Ausschnitt machen</translation>
        </message>
        <message>
            <source>Faithful or vivid</source>
            <translation>Getreu oder lebhaft</translation>
        </message>
        <message>
            <source>Faithful</source>
            <translation>Getreu</translation>
        </message>
        <message>
            <source>Vivid</source>
            <translation>Lebhaft</translation>
        </message>
        <message>
            <source>Compare blends</source>
            <translation>Mischungen vergleichen</translation>
        </message>
        <message>
            <source>Show five blends of the visible region side by side</source>
            <translation>Zeigt fünf Mischungen des sichtbaren Ausschnitts nebeneinander</translation>
        </message>
        <message>
            <source>Save…</source>
            <translation>Speichern…</translation>
        </message>
        <message>
            <source>Save this blend as a model of its own</source>
            <translation>Diese Mischung als eigenes Modell speichern</translation>
        </message>
        <message>
            <source>Restore all with this blend</source>
            <translation>Alle mit dieser Mischung restaurieren</translation>
        </message>
        <message>
            <source>Restore every picture in the list with this blend, also the finished</source>
            <translation>Restauriert jedes Bild der Liste mit dieser Mischung, auch die fertigen</translation>
        </message>
        <message>
            <source>Strength</source>
            <translation>Stärke</translation>
        </message>
        <message>
            <source>Strength, percent: less keeps more of the original</source>
            <translation>Stärke, Prozent: weniger lässt mehr vom Original</translation>
        </message>
        <message>
            <source>Less keeps more of the original picture, merely enlarged</source>
            <translation>Weniger lässt mehr vom Original, das dann nur vergrößert ist</translation>
        </message>
        <message>
            <source>Size</source>
            <translation>Größe</translation>
        </message>
        <message>
            <source>Size of the result</source>
            <translation>Größe des Ergebnisses</translation>
        </message>
        <message>
            <source>As the model makes it</source>
            <translation>Wie das Modell sie liefert</translation>
        </message>
        <message>
            <source>Width in pixels</source>
            <translation>Breite in Pixeln</translation>
        </message>
        <message>
            <source>Height in pixels</source>
            <translation>Höhe in Pixeln</translation>
        </message>
        <message>
            <source>Pixels</source>
            <translation>Pixel</translation>
        </message>
        <message>
            <source>Output</source>
            <translation>Ausgabe</translation>
        </message>
        <message>
            <source>Where the results go</source>
            <translation>Wohin die Ergebnisse kommen</translation>
        </message>
        <message>
            <source>Format</source>
            <translation>Format</translation>
        </message>
        <message>
            <source>Format of the original</source>
            <translation>Format des Originals</translation>
        </message>
        <message>
            <source>Quality of lossy formats</source>
            <translation>Qualität verlustbehafteter Formate</translation>
        </message>
        <message>
            <source>File name</source>
            <translation>Dateiname</translation>
        </message>
        <message>
            <source>Fields: {fields}</source>
            <translation>Felder: {fields}</translation>
        </message>
        <message>
            <source>When a file of that name exists</source>
            <translation>Wenn es eine Datei dieses Namens gibt</translation>
        </message>
        <message>
            <source>If it exists: add a number</source>
            <translation>Wenn vorhanden: Nummer anhängen</translation>
        </message>
        <message>
            <source>If it exists: skip the picture</source>
            <translation>Wenn vorhanden: Bild überspringen</translation>
        </message>
        <message>
            <source>If it exists: overwrite it</source>
            <translation>Wenn vorhanden: überschreiben</translation>
        </message>
        <message>
            <source>Keep &amp;metadata</source>
            <translation>&amp;Metadaten behalten</translation>
        </message>
        <message>
            <source>Convert colours to &amp;sRGB</source>
            <translation>Farben in &amp;sRGB umwandeln</translation>
        </message>
        <message>
            <source>Cleaner, eight times slower</source>
            <translation>Sauberer, achtmal langsamer</translation>
        </message>
        <message>
            <source>Texture that repeats</source>
            <translation>Textur, die sich wiederholt</translation>
        </message>
        <message>
            <source>Automatic</source>
            <translation>Automatisch</translation>
        </message>
        <message>
            <source>Licence: {x}</source>
            <translation>Lizenz: {x}</translation>
        </message>
        <message>
            <source>The best model for this computer.</source>
            <translation>Das beste Modell für diesen Rechner.</translation>
        </message>
        <message>
            <source>Fewer options</source>
            <translation>Weniger Optionen</translation>
        </message>
        <message>
            <source>More options</source>
            <translation>Mehr Optionen</translation>
        </message>
        <message>
            <source>Folder “{name}” beside the originals</source>
            <translation>Ordner „{name}“ neben den Originalen</translation>
        </message>
        <message>
            <source>Beside the originals</source>
            <translation>Neben den Originalen</translation>
        </message>
        <message>
            <source>Choose a folder…</source>
            <translation>Ordner wählen…</translation>
        </message>
        <message>
            <source>Folder for the results</source>
            <translation>Ordner für die Ergebnisse</translation>
        </message>
    </context>
    <context>
        <name>Outcome</name>
        <message>
            <source>The restoring process could not be started: {detail}.</source>
            <translation>Der Restaurierungsprozess konnte nicht gestartet werden: {detail}.</translation>
        </message>
        <message>
            <source>The restoring process did not get ready in {detail} seconds, so it was ended.</source>
            <translation>Der Restaurierungsprozess war nach {detail} Sekunden nicht bereit und wurde beendet.</translation>
        </message>
        <message>
            <source>The restoring process speaks another version ({detail}) than this window: reinstall Pellucid.</source>
            <translation>Der Restaurierungsprozess spricht eine andere Version ({detail}) als dieses Fenster: Pellucid neu installieren.</translation>
        </message>
        <message>
            <source>The restoring process wrote what is no message ({detail}), so it was ended.</source>
            <translation>Der Restaurierungsprozess schrieb etwas, das keine Nachricht ist ({detail}), und wurde beendet.</translation>
        </message>
        <message>
            <source>The restoring process wrote without end, so it was ended.</source>
            <translation>Der Restaurierungsprozess schrieb ohne Ende und wurde beendet.</translation>
        </message>
        <message>
            <source>The restoring process did not answer to Cancel for {detail} seconds, so it was ended.</source>
            <translation>Der Restaurierungsprozess reagierte {detail} Sekunden lang nicht auf „Abbrechen“ und wurde beendet.</translation>
        </message>
        <message>
            <source>The restoring process was stopped.</source>
            <translation>Der Restaurierungsprozess wurde angehalten.</translation>
        </message>
        <message>
            <source>The restoring process was ended from outside ({signal}), most often because memory ran out.</source>
            <translation>Der Restaurierungsprozess wurde von außen beendet ({signal}), meist weil der Speicher nicht reichte.</translation>
        </message>
        <message>
            <source>The restoring process crashed ({signal}).</source>
            <translation>Der Restaurierungsprozess ist abgestürzt ({signal}).</translation>
        </message>
        <message>
            <source>The restoring process ended by itself with code {code}.</source>
            <translation>Der Restaurierungsprozess endete von selbst mit Code {code}.</translation>
        </message>
        <message>
            <source>a line without end</source>
            <translation>eine Zeile ohne Ende</translation>
        </message>
    </context>
    <context>
        <name>PictureClient</name>
        <message>
            <source>The process that reads pictures for the screen could not be started: {detail}.</source>
            <translation>Der Prozess, der Bilder für die Anzeige liest, konnte nicht gestartet werden: {detail}.</translation>
        </message>
        <message>
            <source>The process that reads pictures for the screen was ended from outside ({signal}), most often because memory ran out.</source>
            <translation>Der Prozess, der Bilder für die Anzeige liest, wurde von außen beendet ({signal}), meist weil der Speicher nicht reichte.</translation>
        </message>
        <message>
            <source>The process that reads pictures for the screen crashed ({signal}).</source>
            <translation>Der Prozess, der Bilder für die Anzeige liest, ist abgestürzt ({signal}).</translation>
        </message>
        <message>
            <source>The process that reads pictures for the screen ended by itself with code {code}.</source>
            <translation>Der Prozess, der Bilder für die Anzeige liest, endete von selbst mit Code {code}.</translation>
        </message>
        <message>
            <source>The process that reads pictures for the screen wrote without end, so it was ended.</source>
            <translation>Der Prozess, der Bilder für die Anzeige liest, schrieb ohne Ende und wurde beendet.</translation>
        </message>
    </context>
    <context>
        <name>QueueColumn</name>
        <message>
            <source>Go on</source>
            <translation>Weitermachen</translation>
        </message>
        <message>
            <source>Restore</source>
            <translation>Restaurieren</translation>
        </message>
        <message>
            <source>Pause</source>
            <translation>Pause</translation>
        </message>
        <message>
            <source>Restore again</source>
            <translation>Wiederholen</translation>
        </message>
        <message>
            <source>Add pictures (Ctrl+O)</source>
            <translation>Bilder hinzufügen (Strg+O)</translation>
        </message>
        <message>
            <source>Remove finished pictures</source>
            <translation>Fertige Bilder aus der Liste nehmen</translation>
        </message>
        <message>
            <source>Progress of all pictures</source>
            <translation>Fortschritt aller Bilder</translation>
        </message>
        <message>
            <source>Cancel all</source>
            <translation>Alle abbrechen</translation>
        </message>
        <message>
            <source>Show results</source>
            <translation>Ergebnisse</translation>
        </message>
        <message>
            <source>Open the folder of the results</source>
            <translation>Den Ordner der Ergebnisse öffnen</translation>
        </message>
        <message>
            <source>Open result</source>
            <translation>Ergebnis öffnen</translation>
        </message>
        <message>
            <source>Show in folder</source>
            <translation>Im Ordner zeigen</translation>
        </message>
        <message>
            <source>Restore next</source>
            <translation>Als Nächstes restaurieren</translation>
        </message>
        <message>
            <source>Cancel</source>
            <translation>Abbrechen</translation>
        </message>
        <message>
            <source>Remove from list</source>
            <translation>Aus der Liste nehmen</translation>
        </message>
        <message>
            <source>{n} restored</source>
            <translation>{n} restauriert</translation>
        </message>
        <message>
            <source>Ready when you are</source>
            <translation>Bereit</translation>
        </message>
        <message>
            <source>Paused</source>
            <translation>Angehalten</translation>
        </message>
        <message>
            <source>{done} of {total} done</source>
            <translation>{done} von {total} fertig</translation>
        </message>
        <message>
            <source>{time} left</source>
            <translation>noch {time}</translation>
        </message>
        <message>
            <source>{n} failed</source>
            <translation>{n} gescheitert</translation>
        </message>
    </context>
    <context>
        <name>QueueView</name>
        <message>
            <source>Pictures</source>
            <translation>Bilder</translation>
        </message>
    </context>
    <context>
        <name>Rail</name>
        <message>
            <source>Pages</source>
            <translation>Seiten</translation>
        </message>
        <message>
            <source>Page: {name}</source>
            <translation>Seite: {name}</translation>
        </message>
    </context>
    <context>
        <name>RestorePage</name>
        <message>
            <source>Opening…</source>
            <translation>Wird geöffnet…</translation>
        </message>
        <message>
            <source>The model {old} is gone; {new} takes its place.</source>
            <translation>Das Modell {old} gibt es nicht mehr; {new} tritt an seine Stelle.</translation>
        </message>
        <message>
            <source>Open pictures</source>
            <translation>Bilder öffnen</translation>
        </message>
        <message>
            <source>Pictures</source>
            <translation>Bilder</translation>
        </message>
        <message>
            <source>Open a folder of pictures</source>
            <translation>Ordner mit Bildern öffnen</translation>
        </message>
        <message>
            <source>Open a picture first: its visible region is what is compared.</source>
            <translation>Zuerst ein Bild öffnen: verglichen wird sein sichtbarer Ausschnitt.</translation>
        </message>
        <message>
            <source>The result is on the clipboard.</source>
            <translation>Das Ergebnis ist in der Zwischenablage.</translation>
        </message>
        <message>
            <source>Copy result</source>
            <translation>Ergebnis kopieren</translation>
        </message>
        <message>
            <source>Open result</source>
            <translation>Ergebnis öffnen</translation>
        </message>
        <message>
            <source>Show in folder</source>
            <translation>Im Ordner zeigen</translation>
        </message>
        <message>
            <source>No pictures, so left out: {names}</source>
            <translation>Keine Bilder, darum ausgelassen: {names}</translation>
        </message>
        <message>
            <source>In the list already: {names}</source>
            <translation>Schon in der Liste: {names}</translation>
        </message>
        <message>
            <source>Left out, as results of other pictures there: {names}</source>
            <translation>Ausgelassen, weil es Ergebnisse anderer Bilder dort sind: {names}</translation>
        </message>
        <message>
            <source>Take them too</source>
            <translation>Trotzdem aufnehmen</translation>
        </message>
        <message>
            <source>Before</source>
            <translation>Vorher</translation>
        </message>
        <message>
            <source>After</source>
            <translation>Nachher</translation>
        </message>
        <message>
            <source>Faithful</source>
            <translation>Getreu</translation>
        </message>
        <message>
            <source>Vivid</source>
            <translation>Lebhaft</translation>
        </message>
        <message>
            <source>The result cannot be shown. {reason}</source>
            <translation>Das Ergebnis lässt sich nicht zeigen. {reason}</translation>
        </message>
        <message>
            <source>Region restored in {time}</source>
            <translation>Ausschnitt restauriert in {time}</translation>
        </message>
        <message>
            <source>The other pictures go on. </source>
            <translation>Mit den anderen Bildern geht es weiter. </translation>
        </message>
        <message>
            <source>Try again</source>
            <translation>Noch einmal versuchen</translation>
        </message>
        <message>
            <source>It cannot be shown. {reason}</source>
            <translation>Es lässt sich nicht zeigen. {reason}</translation>
        </message>
        <message>
            <source>It was started again; nothing is lost.</source>
            <translation>Er wurde neu gestartet; nichts ist verloren.</translation>
        </message>
    </context>
    <context>
        <name>RunsPage</name>
        <message>
            <source>Trainings</source>
            <translation>Trainings</translation>
        </message>
        <message>
            <source>&amp;New training…</source>
            <translation>&amp;Neues Training…</translation>
        </message>
        <message>
            <source>&amp;Other folder…</source>
            <translation>Anderer &amp;Ordner…</translation>
        </message>
        <message>
            <source>Show the trainings of another folder</source>
            <translation>Die Trainings eines anderen Ordners zeigen</translation>
        </message>
        <message>
            <source>No trainings yet.
A training keeps running when this window is closed.</source>
            <translation>Noch keine Trainings.
Ein Training läuft weiter, wenn dieses Fenster geschlossen wird.</translation>
        </message>
        <message>
            <source>&amp;Pause</source>
            <translation>&amp;Pause</translation>
        </message>
        <message>
            <source>&amp;Stop</source>
            <translation>An&amp;halten</translation>
        </message>
        <message>
            <source>Save, then end; it can be continued later</source>
            <translation>Speichert und endet; es kann später weitergehen</translation>
        </message>
        <message>
            <source>Sa&amp;ve now</source>
            <translation>Jetzt &amp;speichern</translation>
        </message>
        <message>
            <source>&amp;Use this model</source>
            <translation>Dieses Modell &amp;verwenden</translation>
        </message>
        <message>
            <source>&amp;More</source>
            <translation>&amp;Mehr</translation>
        </message>
        <message>
            <source>More that can be done with this training</source>
            <translation>Was sich mit diesem Training noch tun lässt</translation>
        </message>
        <message>
            <source>Continue as GAN…</source>
            <translation>Als GAN fortsetzen…</translation>
        </message>
        <message>
            <source>Train a vivid partner that starts from this model</source>
            <translation>Trainiert einen lebhaften Partner, der von diesem Modell ausgeht</translation>
        </message>
        <message>
            <source>Blend the pair</source>
            <translation>Das Paar mischen</translation>
        </message>
        <message>
            <source>Put both models into the library and slide between them</source>
            <translation>Beide Modelle in die Bibliothek legen und zwischen ihnen regeln</translation>
        </message>
        <message>
            <source>Show the folder</source>
            <translation>Ordner zeigen</translation>
        </message>
        <message>
            <source>Iteration</source>
            <translation>Iteration</translation>
        </message>
        <message>
            <source>Time left</source>
            <translation>Restzeit</translation>
        </message>
        <message>
            <source>Speed</source>
            <translation>Tempo</translation>
        </message>
        <message>
            <source>Validation</source>
            <translation>Validierung</translation>
        </message>
        <message>
            <source>Memory</source>
            <translation>Speicher</translation>
        </message>
        <message>
            <source>Which curves</source>
            <translation>Welche Kurven</translation>
        </message>
        <message>
            <source>&amp;Logarithmic</source>
            <translation>&amp;Logarithmisch</translation>
        </message>
        <message>
            <source>Smoothing, percent</source>
            <translation>Glättung, Prozent</translation>
        </message>
        <message>
            <source>With &amp;all trainings</source>
            <translation>Mit &amp;allen Trainings</translation>
        </message>
        <message>
            <source>Draw the same curve of every training in the list</source>
            <translation>Zeichnet dieselbe Kurve jedes Trainings der Liste</translation>
        </message>
        <message>
            <source>Export the curves…</source>
            <translation>Kurven exportieren…</translation>
        </message>
        <message>
            <source>Smoothing</source>
            <translation>Glättung</translation>
        </message>
        <message>
            <source>Preview picture</source>
            <translation>Vorschaubild</translation>
        </message>
        <message>
            <source>Preview over time</source>
            <translation>Vorschau im Lauf der Zeit</translation>
        </message>
        <message>
            <source>No previews yet</source>
            <translation>Noch keine Vorschau</translation>
        </message>
        <message>
            <source>What happened</source>
            <translation>Was geschah</translation>
        </message>
        <message>
            <source>Not started</source>
            <translation>Nicht begonnen</translation>
        </message>
        <message>
            <source>Running</source>
            <translation>Läuft</translation>
        </message>
        <message>
            <source>Paused</source>
            <translation>Angehalten</translation>
        </message>
        <message>
            <source>Finished</source>
            <translation>Fertig</translation>
        </message>
        <message>
            <source>Stopped</source>
            <translation>Angehalten</translation>
        </message>
        <message>
            <source>Failed</source>
            <translation>Gescheitert</translation>
        </message>
        <message>
            <source>Ended without a word</source>
            <translation>Ohne ein Wort geendet</translation>
        </message>
        <message>
            <source>{time} left</source>
            <translation>noch {time}</translation>
        </message>
        <message>
            <source>{n} parameters</source>
            <translation>{n} Parameter</translation>
        </message>
        <message>
            <source>&amp;Go on</source>
            <translation>&amp;Weiter</translation>
        </message>
        <message>
            <source>&amp;Continue</source>
            <translation>&amp;Fortsetzen</translation>
        </message>
        <message>
            <source>{n} it/s</source>
            <translation>{n} It./s</translation>
        </message>
        <message>
            <source>In brackets: against plain enlargement</source>
            <translation>In Klammern: gegenüber einfacher Vergrößerung</translation>
        </message>
        <message>
            <source>Losses</source>
            <translation>Verluste</translation>
        </message>
        <message>
            <source>Learning rate</source>
            <translation>Lernrate</translation>
        </message>
        <message>
            <source>Iterations per second</source>
            <translation>Iterationen je Sekunde</translation>
        </message>
        <message>
            <source>Memory (MB)</source>
            <translation>Speicher (MB)</translation>
        </message>
        <message>
            <source>The preview cannot be read.</source>
            <translation>Die Vorschau kann nicht gelesen werden.</translation>
        </message>
        <message>
            <source>damaged</source>
            <translation>beschädigt</translation>
        </message>
        <message>
            <source>plainly enlarged</source>
            <translation>nur vergrößert</translation>
        </message>
        <message>
            <source>restored</source>
            <translation>restauriert</translation>
        </message>
        <message>
            <source>true</source>
            <translation>wahr</translation>
        </message>
        <message>
            <source>Started on {device}.</source>
            <translation>Begonnen auf {device}.</translation>
        </message>
        <message>
            <source>Went on at iteration {n} on {device}.</source>
            <translation>Weiter ab Iteration {n} auf {device}.</translation>
        </message>
        <message>
            <source>Stage {name} begins.</source>
            <translation>Stufe {name} beginnt.</translation>
        </message>
        <message>
            <source>Iteration {n} was left out: its loss was no number ({row} in a row).</source>
            <translation>Iteration {n} wurde ausgelassen: ihr Verlust war keine Zahl ({row} in Folge).</translation>
        </message>
        <message>
            <source>Went back to iteration {n}: {reason}</source>
            <translation>Zurück zu Iteration {n}: {reason}</translation>
        </message>
        <message>
            <source>Paused at iteration {n}.</source>
            <translation>Pause bei Iteration {n}.</translation>
        </message>
        <message>
            <source>Goes on at iteration {n}.</source>
            <translation>Es geht weiter bei Iteration {n}.</translation>
        </message>
        <message>
            <source>Finished after 1 iteration.</source>
            <translation>Fertig nach 1 Iteration.</translation>
        </message>
        <message>
            <source>Finished after {n} iterations.</source>
            <translation>Fertig nach {n} Iterationen.</translation>
        </message>
        <message>
            <source>Stopped at iteration {n}: {reason}</source>
            <translation>Angehalten bei Iteration {n}: {reason}</translation>
        </message>
        <message>
            <source>Crashed: {reason}</source>
            <translation>Abgestürzt: {reason}</translation>
        </message>
        <message>
            <source>The training goes on from its last checkpoint…</source>
            <translation>Das Training geht von seinem letzten Sicherungspunkt weiter…</translation>
        </message>
        <message>
            <source>The training could not be continued.</source>
            <translation>Das Training konnte nicht fortgesetzt werden.</translation>
        </message>
        <message>
            <source>The training cannot be told: {reason}</source>
            <translation>Dem Training lässt sich nichts mitteilen: {reason}</translation>
        </message>
        <message>
            <source>The model was not imported.</source>
            <translation>Das Modell wurde nicht importiert.</translation>
        </message>
        <message>
            <source>Starting the training…</source>
            <translation>Das Training wird gestartet…</translation>
        </message>
        <message>
            <source>The training could not be started.</source>
            <translation>Das Training konnte nicht gestartet werden.</translation>
        </message>
        <message>
            <source>Export curves</source>
            <translation>Kurven exportieren</translation>
        </message>
        <message>
            <source>{path} could not be written.</source>
            <translation>{path} konnte nicht geschrieben werden.</translation>
        </message>
        <message>
            <source>Folder of trainings</source>
            <translation>Ordner der Trainings</translation>
        </message>
    </context>
    <context>
        <name>Sentences</name>
        <message>
            <source>{s} s</source>
            <translation>{s} s</translation>
        </message>
        <message>
            <source>{m} min {s:02} s</source>
            <translation>{m} min {s:02} s</translation>
        </message>
        <message>
            <source>{h} h {m:02} min</source>
            <translation>{h} h {m:02} min</translation>
        </message>
        <message>
            <source>today at {time}</source>
            <translation>heute um {time}</translation>
        </message>
        <message>
            <source>tomorrow at {time}</source>
            <translation>morgen um {time}</translation>
        </message>
        <message>
            <source>on {day} at {time}</source>
            <translation>am {day} um {time}</translation>
        </message>
        <message>
            <source>on {date}</source>
            <translation>am {date}</translation>
        </message>
        <message>
            <source>1 picture</source>
            <translation>1 Bild</translation>
        </message>
        <message>
            <source>{n} pictures</source>
            <translation>{n} Bilder</translation>
        </message>
        <message>
            <source>{n} MP</source>
            <translation>{n} MP</translation>
        </message>
        <message>
            <source>{n} MP/s</source>
            <translation>{n} MP/s</translation>
        </message>
        <message>
            <source>The file is no longer there.</source>
            <translation>Die Datei ist nicht mehr da.</translation>
        </message>
        <message>
            <source>It was moved or deleted, or its drive is not connected.</source>
            <translation>Sie wurde verschoben oder gelöscht, oder ihr Laufwerk ist nicht angeschlossen.</translation>
        </message>
        <message>
            <source>Waiting</source>
            <translation>Wartet</translation>
        </message>
        <message>
            <source>Opening…</source>
            <translation>Wird geöffnet…</translation>
        </message>
        <message>
            <source>{time} left</source>
            <translation>noch {time}</translation>
        </message>
        <message>
            <source>under 1 s</source>
            <translation>unter 1 s</translation>
        </message>
        <message>
            <source>Done · {size} · {time}</source>
            <translation>Fertig · {size} · {time}</translation>
        </message>
        <message>
            <source>Skipped: {reason}</source>
            <translation>Übersprungen: {reason}</translation>
        </message>
        <message>
            <source>Cancelled</source>
            <translation>Abgebrochen</translation>
        </message>
        <message>
            <source>The restoring process crashed.</source>
            <translation>Der Restaurierungsprozess ist abgestürzt.</translation>
        </message>
        <message>
            <source>{model} on {backend} ({device}), {precision}</source>
            <translation>{model} mit {backend} ({device}), {precision}</translation>
        </message>
        <message>
            <source>Result: {path}</source>
            <translation>Ergebnis: {path}</translation>
        </message>
    </context>
    <context>
        <name>SettingsPage</name>
        <message>
            <source>Sections of the settings</source>
            <translation>Abschnitte der Einstellungen</translation>
        </message>
        <message>
            <source>Settings</source>
            <translation>Einstellungen</translation>
        </message>
        <message>
            <source>This computer</source>
            <translation>Dieser Rechner</translation>
        </message>
        <message>
            <source>About</source>
            <translation>Über</translation>
        </message>
        <message>
            <source>&amp;Appearance</source>
            <translation>&amp;Aussehen</translation>
        </message>
        <message>
            <source>As the system</source>
            <translation>Wie das System</translation>
        </message>
        <message>
            <source>Light</source>
            <translation>Hell</translation>
        </message>
        <message>
            <source>Dark</source>
            <translation>Dunkel</translation>
        </message>
        <message>
            <source>&amp;Language</source>
            <translation>&amp;Sprache</translation>
        </message>
        <message>
            <source>The language changes when Pellucid is started again.</source>
            <translation>Die Sprache wechselt, wenn Pellucid neu gestartet wird.</translation>
        </message>
        <message>
            <source>Restart now</source>
            <translation>Jetzt neu starten</translation>
        </message>
        <message>
            <source>The fastest there is</source>
            <translation>Das Schnellste, das es gibt</translation>
        </message>
        <message>
            <source>&amp;Compute with</source>
            <translation>&amp;Rechnen mit</translation>
        </message>
        <message>
            <source>Compute with</source>
            <translation>Rechnen mit</translation>
        </message>
        <message>
            <source>Automatic</source>
            <translation>Automatisch</translation>
        </message>
        <message>
            <source>Exact (fp32)</source>
            <translation>Genau (fp32)</translation>
        </message>
        <message>
            <source>Precision</source>
            <translation>Genauigkeit</translation>
        </message>
        <message>
            <source>&amp;Precision</source>
            <translation>&amp;Genauigkeit</translation>
        </message>
        <message>
            <source>&amp;Start restoring as soon as pictures are dropped</source>
            <translation>So&amp;fort restaurieren, wenn Bilder hereingezogen werden</translation>
        </message>
        <message>
            <source>&amp;Notify when a long job is done</source>
            <translation>&amp;Benachrichtigen, wenn eine lange Arbeit fertig ist</translation>
        </message>
        <message>
            <source>Pellucid sends nothing to anybody: no telemetry, no update checks, no downloads.</source>
            <translation>Pellucid sendet niemandem etwas: keine Telemetrie, keine Suche nach Updates, keine Downloads.</translation>
        </message>
        <message>
            <source>Check &amp;again</source>
            <translation>&amp;Noch einmal prüfen</translation>
        </message>
        <message>
            <source>&amp;Copy report</source>
            <translation>Bericht &amp;kopieren</translation>
        </message>
        <message>
            <source>Looking at this computer…</source>
            <translation>Dieser Rechner wird untersucht…</translation>
        </message>
        <message>
            <source>The examination failed: {reason}</source>
            <translation>Die Untersuchung ist gescheitert: {reason}</translation>
        </message>
        <message>
            <source>Version</source>
            <translation>Version</translation>
        </message>
        <message>
            <source>System</source>
            <translation>System</translation>
        </message>
        <message>
            <source>Processor</source>
            <translation>Prozessor</translation>
        </message>
        <message>
            <source>Cores</source>
            <translation>Kerne</translation>
        </message>
        <message>
            <source>Memory (GiB)</source>
            <translation>Speicher (GiB)</translation>
        </message>
        <message>
            <source>Speed</source>
            <translation>Tempo</translation>
        </message>
        <message>
            <source>Native code</source>
            <translation>Nativer Code</translation>
        </message>
        <message>
            <source>Packages</source>
            <translation>Pakete</translation>
        </message>
        <message>
            <source>Model library</source>
            <translation>Modellbibliothek</translation>
        </message>
        <message>
            <source>Models</source>
            <translation>Modelle</translation>
        </message>
        <message>
            <source>not installed</source>
            <translation>nicht installiert</translation>
        </message>
        <message>
            <source>Version {version}, Qt {qt}. Licence: Apache-2.0.</source>
            <translation>Version {version}, Qt {qt}. Lizenz: Apache-2.0.</translation>
        </message>
        <message>
            <source>Made with these parts, each under its own licence:</source>
            <translation>Gemacht aus diesen Teilen, jeder unter seiner eigenen Lizenz:</translation>
        </message>
        <message>
            <source>Licences of all parts</source>
            <translation>Lizenzen aller Teile</translation>
        </message>
    </context>
    <context>
        <name>TrainPage</name>
        <message>
            <source>&amp;Back</source>
            <translation>&amp;Zurück</translation>
        </message>
        <message>
            <source>Photographs of every kind</source>
            <translation>Fotos jeder Art</translation>
        </message>
        <message>
            <source>A model that restores photographs, whatever happened to them. From the beginning.</source>
            <translation>Ein Modell, das Fotos restauriert, was auch immer ihnen widerfahren ist. Von Anfang an.</translation>
        </message>
        <message>
            <source>Photographs, with a vivid partner</source>
            <translation>Fotos, mit einem lebhaften Partner</translation>
        </message>
        <message>
            <source>Then a second model that invents texture; a slider blends the two. Needs VGG16 weights.</source>
            <translation>Danach ein zweites Modell, das Textur erfindet; ein Regler mischt beide. Braucht VGG16-Gewichte.</translation>
        </message>
        <message>
            <source>Faces</source>
            <translation>Gesichter</translation>
        </message>
        <message>
            <source>A model for portraits that are blurred, small or badly compressed. Give it faces only.</source>
            <translation>Ein Modell für Porträts, die unscharf, klein oder schlecht komprimiert sind. Nur mit Gesichtern füttern.</translation>
        </message>
        <message>
            <source>My own pictures</source>
            <translation>Meine eigenen Bilder</translation>
        </message>
        <message>
            <source>Starts from a finished model and adapts it to pictures like yours: a few hundred are enough.</source>
            <translation>Beginnt mit einem fertigen Modell und passt es an Bilder wie Ihre an: ein paar Hundert genügen.</translation>
        </message>
        <message>
            <source>A quick try</source>
            <translation>Ein schneller Versuch</translation>
        </message>
        <message>
            <source>A small model and clean pictures: minutes on any computer, to see how it works.</source>
            <translation>Ein kleines Modell und saubere Bilder: Minuten auf jedem Rechner, um zu sehen, wie es geht.</translation>
        </message>
        <message>
            <source>Reproduce a paper</source>
            <translation>Eine Veröffentlichung nachstellen</translation>
        </message>
        <message>
            <source>The reference systems, with their networks, losses and schedules.</source>
            <translation>Die Referenzsysteme mit ihren Netzen, Verlusten und Zeitplänen.</translation>
        </message>
        <message>
            <source>Reference system</source>
            <translation>Referenzsystem</translation>
        </message>
        <message>
            <source>Folders of pictures</source>
            <translation>Ordner mit Bildern</translation>
        </message>
        <message>
            <source>&amp;Add a folder…</source>
            <translation>Ordner &amp;hinzufügen…</translation>
        </message>
        <message>
            <source>&amp;Remove</source>
            <translation>&amp;Entfernen</translation>
        </message>
        <message>
            <source>&amp;Put them back</source>
            <translation>Zurück&amp;legen</translation>
        </message>
        <message>
            <source>Damage recipe</source>
            <translation>Schadensrezept</translation>
        </message>
        <message>
            <source>&amp;Other samples</source>
            <translation>Andere &amp;Proben</translation>
        </message>
        <message>
            <source>Twelve samples of what the network will be fed</source>
            <translation>Zwölf Proben dessen, was das Netz bekommt</translation>
        </message>
        <message>
            <source>Blur</source>
            <translation>Unschärfe</translation>
        </message>
        <message>
            <source>Noise</source>
            <translation>Rauschen</translation>
        </message>
        <message>
            <source>Compression</source>
            <translation>Kompression</translation>
        </message>
        <message>
            <source>{damage}, percent of the recipe</source>
            <translation>{damage}, Prozent des Rezepts</translation>
        </message>
        <message>
            <source>&amp;Name</source>
            <translation>&amp;Name</translation>
        </message>
        <message>
            <source>&amp;Iterations of each stage</source>
            <translation>&amp;Iterationen jeder Stufe</translation>
        </message>
        <message>
            <source>&amp;Pictures a step</source>
            <translation>&amp;Bilder je Schritt</translation>
        </message>
        <message>
            <source>Side of a &amp;crop</source>
            <translation>&amp;Kantenlänge des Ausschnitts</translation>
        </message>
        <message>
            <source>a .safetensors or .pth file</source>
            <translation>eine .safetensors- oder .pth-Datei</translation>
        </message>
        <message>
            <source>VGG weights</source>
            <translation>VGG-Gewichte</translation>
        </message>
        <message>
            <source>&amp;VGG weights</source>
            <translation>&amp;VGG-Gewichte</translation>
        </message>
        <message>
            <source>Choose…</source>
            <translation>Wählen…</translation>
        </message>
        <message>
            <source>Choose the file of the VGG weights</source>
            <translation>Datei der VGG-Gewichte wählen</translation>
        </message>
        <message>
            <source>Configuration</source>
            <translation>Konfiguration</translation>
        </message>
        <message>
            <source>The whole configuration appears here with the estimate.</source>
            <translation>Mit der Schätzung erscheint hier die ganze Konfiguration.</translation>
        </message>
        <message>
            <source>What do you want to train?</source>
            <translation>Was soll trainiert werden?</translation>
        </message>
        <message>
            <source>Which pictures shall it learn from?</source>
            <translation>Aus welchen Bildern soll es lernen?</translation>
        </message>
        <message>
            <source>Sharp, clean pictures: the damage is made from them. Hundreds are a start, thousands are better.</source>
            <translation>Scharfe, saubere Bilder: daraus entsteht der Schaden. Hunderte sind ein Anfang, Tausende sind besser.</translation>
        </message>
        <message>
            <source>What damage shall it undo?</source>
            <translation>Welchen Schaden soll es beheben?</translation>
        </message>
        <message>
            <source>This is what the network will be fed.</source>
            <translation>Das ist es, was das Netz bekommt.</translation>
        </message>
        <message>
            <source>How long may it take?</source>
            <translation>Wie lange darf es dauern?</translation>
        </message>
        <message>
            <source>The training goes on when this window is closed, and can be paused and continued.</source>
            <translation>Das Training läuft weiter, wenn dieses Fenster geschlossen wird; es kann angehalten und fortgesetzt werden.</translation>
        </message>
        <message>
            <source>Step {n} of {all}</source>
            <translation>Schritt {n} von {all}</translation>
        </message>
        <message>
            <source>&amp;Start training</source>
            <translation>Training &amp;starten</translation>
        </message>
        <message>
            <source>&amp;Next</source>
            <translation>&amp;Weiter</translation>
        </message>
        <message>
            <source>There is no finished model to start from yet: train or import one of the network “compact”.</source>
            <translation>Es gibt noch kein fertiges Modell, von dem aus es losgehen kann: eines mit dem Netz „compact“ trainieren oder importieren.</translation>
        </message>
        <message>
            <source>Folder of pictures</source>
            <translation>Ordner mit Bildern</translation>
        </message>
        <message>
            <source>Looking at the pictures…</source>
            <translation>Die Bilder werden angesehen…</translation>
        </message>
        <message>
            <source>{pictures}, {mp} megapixels.</source>
            <translation>{pictures}, {mp} Megapixel.</translation>
        </message>
        <message>
            <source>Nothing stands in the way.</source>
            <translation>Nichts steht im Weg.</translation>
        </message>
        <message>
            <source>Repair this before training.</source>
            <translation>Das vor dem Training in Ordnung bringen.</translation>
        </message>
        <message>
            <source>That is little, though: more pictures make a better model.</source>
            <translation>Das ist aber wenig: Mehr Bilder ergeben ein besseres Modell.</translation>
        </message>
        <message>
            <source>Set aside</source>
            <translation>Beiseitelegen</translation>
        </message>
        <message>
            <source>Set aside: {what}</source>
            <translation>Beiseitelegen: {what}</translation>
        </message>
        <message>
            <source>Move these files into a folder beside this one; they can be put back</source>
            <translation>Legt diese Dateien in einen Ordner daneben; sie lassen sich zurücklegen</translation>
        </message>
        <message>
            <source>Unreadable files</source>
            <translation>Unlesbare Dateien</translation>
        </message>
        <message>
            <source>Too small</source>
            <translation>Zu klein</translation>
        </message>
        <message>
            <source>Without a damaged partner</source>
            <translation>Ohne beschädigtes Gegenstück</translation>
        </message>
        <message>
            <source>Partner of the wrong size</source>
            <translation>Gegenstück in falscher Größe</translation>
        </message>
        <message>
            <source>Twice there</source>
            <translation>Doppelt vorhanden</translation>
        </message>
        <message>
            <source>Grey pictures</source>
            <translation>Graustufenbilder</translation>
        </message>
        <message>
            <source>Transparent pictures</source>
            <translation>Durchsichtige Bilder</translation>
        </message>
        <message>
            <source>Heavily compressed</source>
            <translation>Stark komprimiert</translation>
        </message>
        <message>
            <source>Also in the validation</source>
            <translation>Auch in der Validierung</translation>
        </message>
        <message>
            <source>The files could not be moved: {reason}</source>
            <translation>Die Dateien konnten nicht verschoben werden: {reason}</translation>
        </message>
        <message>
            <source>The recipe could not be written: {reason}</source>
            <translation>Das Rezept konnte nicht geschrieben werden: {reason}</translation>
        </message>
        <message>
            <source>Damaging twelve samples…</source>
            <translation>Zwölf Proben werden beschädigt…</translation>
        </message>
        <message>
            <source>The samples could not be made.</source>
            <translation>Die Proben konnten nicht erzeugt werden.</translation>
        </message>
        <message>
            <source>Training a few steps to measure…</source>
            <translation>Zum Messen werden ein paar Schritte trainiert…</translation>
        </message>
        <message>
            <source>Weights</source>
            <translation>Gewichte</translation>
        </message>
        <message>
            <source>About {time} on {device}, {memory} GB of memory.</source>
            <translation>Etwa {time} auf {device}, {memory} GB Speicher.</translation>
        </message>
        <message>
            <source>Begun now, it is finished {when}.</source>
            <translation>Jetzt begonnen, ist es {when} fertig.</translation>
        </message>
        <message>
            <source>It will not fit: choose fewer pictures a step or smaller crops.</source>
            <translation>Das passt nicht: weniger Bilder je Schritt oder kleinere Ausschnitte wählen.</translation>
        </message>
        <message>
            <source>Starting the training…</source>
            <translation>Das Training wird gestartet…</translation>
        </message>
    </context>
    <context>
        <name>ViewTools</name>
        <message>
            <source>Divider (D)</source>
            <translation>Trennlinie (D)</translation>
        </message>
        <message>
            <source>Side by side (S)</source>
            <translation>Nebeneinander (S)</translation>
        </message>
        <message>
            <source>Flicker: hold the space bar to see the original (F)</source>
            <translation>Wechsel: Leertaste halten zeigt das Original (F)</translation>
        </message>
        <message>
            <source>Loupe (L)</source>
            <translation>Lupe (L)</translation>
        </message>
        <message>
            <source>Fit (0)</source>
            <translation>Einpassen (0)</translation>
        </message>
        <message>
            <source>One picture pixel a screen pixel (1)</source>
            <translation>Ein Bildpixel je Bildschirmpixel (1)</translation>
        </message>
        <message>
            <source>Show at 100 percent</source>
            <translation>Mit 100 Prozent zeigen</translation>
        </message>
        <message>
            <source>Draw a region to try (R)</source>
            <translation>Ausschnitt zum Probieren aufziehen (R)</translation>
        </message>
        <message>
            <source>&amp;Try visible region</source>
            <translation>Ausschnitt &amp;probieren</translation>
        </message>
        <message>
            <source>Restore only what can be seen, to judge the settings</source>
            <translation>Restauriert nur, was zu sehen ist, um die Einstellungen zu beurteilen</translation>
        </message>
    </context>
    <context>
        <name>VividDialog</name>
        <message>
            <source>Continue as GAN</source>
            <translation>Als GAN fortsetzen</translation>
        </message>
        <message>
            <source>A second training starts from this model and learns to invent texture. A slider then blends the two: faithful on one side, vivid on the other.</source>
            <translation>Ein zweites Training beginnt mit diesem Modell und lernt, Textur zu erfinden. Ein Regler mischt dann beide: auf der einen Seite getreu, auf der anderen lebhaft.</translation>
        </message>
        <message>
            <source>Name</source>
            <translation>Name</translation>
        </message>
        <message>
            <source>Iterations</source>
            <translation>Iterationen</translation>
        </message>
        <message>
            <source>optional: a .safetensors or .pth file</source>
            <translation>freiwillig: eine .safetensors- oder .pth-Datei</translation>
        </message>
        <message>
            <source>VGG16 weights</source>
            <translation>VGG16-Gewichte</translation>
        </message>
        <message>
            <source>Choose…</source>
            <translation>Wählen…</translation>
        </message>
        <message>
            <source>Choose the file of the VGG weights</source>
            <translation>Datei der VGG-Gewichte wählen</translation>
        </message>
        <message>
            <source>&amp;Name</source>
            <translation>&amp;Name</translation>
        </message>
        <message>
            <source>&amp;Iterations</source>
            <translation>&amp;Iterationen</translation>
        </message>
        <message>
            <source>&amp;VGG16 weights</source>
            <translation>&amp;VGG16-Gewichte</translation>
        </message>
        <message>
            <source>Without these weights it works as well, but texture comes out coarser.</source>
            <translation>Ohne diese Gewichte geht es auch, aber die Textur wird gröber.</translation>
        </message>
        <message>
            <source>Start training</source>
            <translation>Training starten</translation>
        </message>
        <message>
            <source>VGG weights</source>
            <translation>VGG-Gewichte</translation>
        </message>
        <message>
            <source>Weights</source>
            <translation>Gewichte</translation>
        </message>
    </context>
    <context>
        <name>Window</name>
        <message>
            <source>Restore</source>
            <translation>Restaurieren</translation>
        </message>
        <message>
            <source>Models</source>
            <translation>Modelle</translation>
        </message>
        <message>
            <source>Train</source>
            <translation>Trainieren</translation>
        </message>
        <message>
            <source>Runs</source>
            <translation>Läufe</translation>
        </message>
        <message>
            <source>Settings</source>
            <translation>Einstellungen</translation>
        </message>
        <message>
            <source>The settings could not be saved: {reason}</source>
            <translation>Die Einstellungen konnten nicht gespeichert werden: {reason}</translation>
        </message>
        <message>
            <source>Open pictures</source>
            <translation>Bilder öffnen</translation>
        </message>
        <message>
            <source>Paste</source>
            <translation>Einfügen</translation>
        </message>
        <message>
            <source>Copy result</source>
            <translation>Ergebnis kopieren</translation>
        </message>
        <message>
            <source>Restore or pause</source>
            <translation>Restaurieren oder anhalten</translation>
        </message>
        <message>
            <source>Quit</source>
            <translation>Beenden</translation>
        </message>
        <message>
            <source>The training {name} is finished.</source>
            <translation>Das Training {name} ist fertig.</translation>
        </message>
        <message>
            <source>The training {name} has failed.</source>
            <translation>Das Training {name} ist gescheitert.</translation>
        </message>
        <message>
            <source>The training {name} ended without a word.</source>
            <translation>Das Training {name} endete ohne ein Wort.</translation>
        </message>
        <message>
            <source>Show</source>
            <translation>Zeigen</translation>
        </message>
        <message>
            <source>1 picture restored</source>
            <translation>1 Bild restauriert</translation>
        </message>
        <message>
            <source>{n} pictures restored</source>
            <translation>{n} Bilder restauriert</translation>
        </message>
        <message>
            <source>{n} failed</source>
            <translation>{n} gescheitert</translation>
        </message>
        <message>
            <source>1 picture was not finished last time.</source>
            <translation>1 Bild wurde letztes Mal nicht fertig.</translation>
        </message>
        <message>
            <source>{n} pictures were not finished last time.</source>
            <translation>{n} Bilder wurden letztes Mal nicht fertig.</translation>
        </message>
        <message>
            <source>Forget it</source>
            <translation>Vergessen</translation>
        </message>
        <message>
            <source>Forget them</source>
            <translation>Vergessen</translation>
        </message>
        <message>
            <source>Go on</source>
            <translation>Weitermachen</translation>
        </message>
        <message>
            <source>What was dropped could not be read.</source>
            <translation>Das Hereingezogene konnte nicht gelesen werden.</translation>
        </message>
        <message>
            <source>There is no picture to paste.</source>
            <translation>Es gibt kein Bild zum Einfügen.</translation>
        </message>
        <message>
            <source>The pasted picture could not be kept on disk.</source>
            <translation>Das eingefügte Bild konnte nicht gespeichert werden.</translation>
        </message>
    </context>
</TS>
