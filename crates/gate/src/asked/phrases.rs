//! Words that say what is asked for, in each language, and which of them a prompt has: lower case, without marks on Latin
//! letters, a bar between phrases.

use stopgate_core::words::is_unspaced;

/// A list of phrases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum List {
    /// What a question begins with.
    Question,
    /// What sets bounds.
    Only,
    /// What forbids changes.
    NotChange,
    /// What asks to go on.
    GoOn,
    /// What asks to be told something.
    Tell,
    /// What asks for work.
    Do,
    /// What leaves something for another time, another person, or out.
    Later,
    /// What asks for all of it.
    All,
    /// What is said besides.
    Courtesy,
    /// What holds steps.
    Plan,
    /// What puts a boundary behind what is asked for.
    Ends,
    /// What is not to be done follows.
    Not,
    /// What is a bound for every turn, whatever it is that is asked for.
    Standing,
    /// Words of a prompt that says no more than to go on.
    GoesOn,
    /// An approval of what was proposed: by itself it asks for nothing.
    Approves,
    /// Verbs with which nothing but work is asked for.
    DoStrictly,
    /// Words that ask to be told something even beside such a verb.
    TellStrictly,
    /// Begins a request that has the form of a question.
    Request,
    /// Begins a wish.
    Wish,
    /// Verbs with which a text is asked for, where they begin a prompt.
    Write,
    /// The same where words are not spaced, or the verb stands last.
    WriteAnywhere,
    /// What is written for whoever goes on.
    Handoff,
}

/// The phrases of each [`List`], in its order.
const LISTS: [&str; 22] = [
    QUESTION,
    ONLY,
    NOT_CHANGE,
    GO_ON,
    TELL,
    DO,
    LATER,
    ALL,
    COURTESY,
    PLAN,
    ENDS,
    NOT,
    STANDING,
    GOES_ON,
    APPROVES,
    DO_STRICTLY,
    TELL_STRICTLY,
    REQUEST,
    WISH,
    WRITE,
    WRITE_ANYWHERE,
    HANDOFF,
];

/// A set of lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lists(u32);

impl Lists {
    pub(super) const fn has(self, list: List) -> bool {
        self.0 & (1 << list as u32) != 0
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// FNV-1a of what was given so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hash(u32);

impl Hash {
    pub(super) const NONE: Self = Self(0x811c_9dc5);

    pub(super) const fn with(self, bytes: &[u8]) -> Self {
        let (mut hash, mut at) = (self.0, 0);
        while at < bytes.len() {
            hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
            at += 1;
        }
        Self(hash)
    }

    /// With the high bits folded in.
    pub(super) const fn get(self) -> u32 {
        self.0 ^ (self.0 >> 15)
    }
}

/// Which lists have a phrase with which `words` begin; `first` is the hash of the first of them.
pub(super) fn beginning<'a>(first: Hash, words: impl Iterator<Item = &'a str> + Clone) -> Lists {
    let found = INDEX.with(first).filter(|phrase| phrase.length(words.clone()).is_some());
    found.fold(Lists::default(), |lists, phrase| lists.or(Lists(1 << phrase.list)))
}

/// How many of `words` the longest phrase of `list` takes with which they begin.
pub(super) fn longest<'a>(list: List, first: Hash, words: impl Iterator<Item = &'a str> + Clone) -> Option<usize> {
    let of_list = INDEX.with(first).filter(|phrase| phrase.list == list as u8);
    of_list.filter_map(|phrase| phrase.length(words.clone())).max()
}

/// A phrase: which list it is of, and where it stands there.
#[derive(Debug, Clone, Copy)]
struct Phrase {
    list: u8,
    length: u8,
    at: u16,
}

impl Phrase {
    fn text(self) -> &'static str {
        let at = usize::from(self.at);
        LISTS.get(usize::from(self.list)).and_then(|list| list.get(at..at + usize::from(self.length))).unwrap_or("|")
    }

    /// How many of `words` it takes, if they begin with it.
    fn length<'a>(self, words: impl Iterator<Item = &'a str>) -> Option<usize> {
        let mut rest = self.text();
        for (number, word) in words.enumerate() {
            let left = rest.strip_prefix(word)?;
            if left.is_empty() {
                return Some(number + 1);
            }
            rest = match left.strip_prefix(' ') {
                Some(left) => left,
                None if left.starts_with(is_unspaced) || word.ends_with(is_unspaced) => left,
                None => return None,
            };
        }
        None
    }
}

/// All phrases, by the hash of their first words: made when this is compiled, so that no hook sorts them.
static INDEX: Index = Index::new();

const COUNT: usize = {
    let (mut count, mut list) = (0, 0);
    while list < LISTS.len() {
        let (bytes, mut at) = (LISTS[list].as_bytes(), 0);
        count += 1;
        while at < bytes.len() {
            count += (bytes[at] == b'|') as usize;
            at += 1;
        }
        list += 1;
    }
    count
};
const BUCKETS: usize = 2048;

struct Index {
    /// Where each bucket begins in `phrases`, and the last one ends.
    starts: [u16; BUCKETS + 1],
    phrases: [Phrase; COUNT],
}

impl Index {
    /// Sorted by counting: first how many are in each bucket, then each to its place.
    #[expect(clippy::cast_possible_truncation, reason = "checked by a test that finds each phrase")]
    const fn new() -> Self {
        let mut index = Self { starts: [0; BUCKETS + 1], phrases: [Phrase { list: 0, length: 0, at: 0 }; COUNT] };
        let (mut buckets, mut phrases) = ([0_u16; COUNT], index.phrases);
        let (mut number, mut list) = (0, 0);
        while list < LISTS.len() {
            let bytes = LISTS[list].as_bytes();
            let (mut from, mut to) = (0, 0);
            while to <= bytes.len() {
                if to == bytes.len() || bytes[to] == b'|' {
                    let (_, rest) = bytes.split_at(from);
                    let (phrase, _) = rest.split_at(to - from);
                    let bucket = bucket(Hash::NONE.with(b"=").with(first_word(phrase)));
                    buckets[number] = bucket as u16;
                    phrases[number] = Phrase { list: list as u8, length: phrase.len() as u8, at: from as u16 };
                    index.starts[bucket + 1] += 1;
                    number += 1;
                    from = to + 1;
                }
                to += 1;
            }
            list += 1;
        }
        let mut bucket = 0;
        while bucket < BUCKETS {
            index.starts[bucket + 1] += index.starts[bucket];
            bucket += 1;
        }
        let mut next = index.starts;
        let mut number = 0;
        while number < COUNT {
            let bucket = buckets[number] as usize;
            index.phrases[next[bucket] as usize] = phrases[number];
            next[bucket] += 1;
            number += 1;
        }
        index
    }

    /// Those whose first word may have this hash.
    fn with(&self, first: Hash) -> impl Iterator<Item = Phrase> + '_ {
        let at = bucket(first);
        let place = |at: usize| self.starts.get(at).map_or(0, |start| usize::from(*start));
        self.phrases.get(place(at)..place(at + 1)).unwrap_or_default().iter().copied()
    }
}

const fn bucket(first: Hash) -> usize {
    first.get() as usize & (BUCKETS - 1)
}

/// The first word of a phrase, as prompts are read: a number, a sign of a script without spaces, or letters.
const fn first_word(phrase: &[u8]) -> &[u8] {
    // What takes three bytes or more is a sign by itself.
    const SIGN: u8 = 0xe0;
    if phrase[0] >= SIGN {
        return phrase.split_at(3).0;
    }
    let mut end = 1;
    while end < phrase.len()
        && phrase[end] != b' '
        && phrase[end] < SIGN
        && phrase[end].is_ascii_digit() == phrase[0].is_ascii_digit()
    {
        end += 1;
    }
    phrase.split_at(end).0
}

const QUESTION: &str = "\
    what|what's|whats|why|how|how's|when|where|which|who|whose|is|are|was|were|does|did|do we|do you|has|have you|\
    should|could it|any|can i|can we|am i|warum|wieso|weshalb|wie|wann|wo|wer|welche|welcher|welches|ist|sind|hat|\
    pourquoi|comment|quand|ou|quel|quelle|quels|quelles|qui|combien|est-ce|qu'est-ce|c'est quoi|por que|porque|\
    como|cuando|donde|cual|cuales|quien|cuanto|cuantos|cuanta|que|hay|o que|quando|onde|qual|quais|quem|quanto|\
    quantos|sera|perche|come|dove|quale|quali|chi|quanti|quante|cosa|che|che cosa|c'e|waarom|hoe|wat|wanneer|waar|\
    welke|hoeveel|klopt|dlaczego|czemu|jak|co|kiedy|gdzie|ktory|ktora|ktore|kto|ile|czy|neden|niye|nasil|ne|\
    ne zaman|nerede|hangi|kim|kac|mi|mu|var mi|почему|зачем|как|что|когда|где|какой|какая|какие|кто|сколько|чем|\
    为什么|为啥|怎么|什么|哪|谁|多少|多久|吗|呢|是不是|有没有|能不能|几|如何|なぜ|なんで|どう|何|いつ|どこ|どれ|\
    どの|誰|いくつ|ですか|ますか|왜|어떻게|무엇|뭐|언제|어디|어느|누가|몇|얼마|나요|까요|습니까|인가요|\
    can you tell|could you tell|do you know|is there|are there|where are|what does|how many|how much|how long|\
    wie weit|wie viele|gibt es|kannst du mir sagen|combien de|est-ce que|y a-t-il|puedes decirme|tem algum|\
    a che punto|puoi dirmi|hoe ver|kun je zeggen|czy moglbys powiedziec|ne kadar|nerede kaldik|можешь сказать|\
    на каком|怎么样|到哪|ご教示|どこまで|ますでしょうか|어디까지|뭔가요";

const ONLY: &str = "\
    only|just|nothing else|nothing more|no further|then stop|and stop|one by one|one at a time|up to|until|first|\
    ne fais que|ne faites que|nur|bloss|lediglich|erst|sonst nichts|mehr nicht|bis|danach warten|seulement|uniquement|juste|rien d'autre|\
    que le|jusqu'a|d'abord|solo|solamente|unicamente|nada mas|hasta|primero|so|apenas|somente|nada mais|ate|\
    primeiro|soltanto|nient'altro|fino a|prima|alleen|enkel|verder niets|tot|eerst|tylko|wylacznie|nic wiecej|do|\
    najpierw|sadece|yalnizca|baska bir sey|kadar|once|tek|только|лишь|больше ничего|до|сначала|只|仅|就行|别的|\
    其他|其余|先|一个一个|一步|だけ|のみ|まで|一つずつ|まずは|他は|만|까지|하나씩|먼저|나머지|\
    solely|exclusively|merely|at most|max|limit yourself|restrict yourself|no more than|and nothing|one item|\
    one commit|this one|step 1|ausschliesslich|sonst nix|beschranken sie|jeweils|nicht mehr als|exclusivement|\
    limitez-vous|pas plus que|exclusivamente|limitese|de uno en uno|limite-se|um de cada vez|null'altro|\
    esclusivamente|si limiti|uitsluitend|en niets|niet meer dan|niczego wiecej|nic poza|po kolei i|en fazla|\
    birer birer|исключительно|не больше|дальше не|不超过|一次一个|即可|暂不|限り|ずつ|일단|만 해";

const NOT_CHANGE: &str = "\
    change nothing|don't change|do not change|dont change|no changes|without changing|don't touch|do not touch|\
    dont touch|don't edit|no edits|read only|don't fix|nothing to change|no code|nichts andern|nicht andern|\
    ohne anderungen|nichts anfassen|ne change rien|sans rien modifier|sans modifier|ne touche|no cambies|\
    sin cambiar|sin tocar|no toques|nao mude|sem mexer|nao altere|sem alterar|nao mexa|non cambiare|\
    senza modificare|non toccare|niets veranderen|niet aanpassen|niks aanpassen|nic nie zmieniaj|nie zmieniaj|\
    bez zmian|nie ruszaj|degistirme|dokunma|ничего не меняй|не меняй|не трогай|别改|不要改|不要动|别动|不用改|\
    変更しないで|変えないで|触らないで|いじらないで|바꾸지|건드리지|수정하지|고치지|\
    no action|no coding|without fixing|must remain untouched|abstain from|nichts mehr bauen|sans corriger|\
    sin arreglar|nao otimiza|non toccarlo|niets meer bouwen|niczego prosze nie zmieniac|勿改动|暂不修改|やらないで";

const GO_ON: &str = "\
    don't stop|do not stop|nicht aufhoren|ne t'arrete pas|no pares|nao pare|non fermarti|niet stoppen|\
    nie przestawaj|durma|не останавливайся|\
    go|go on|continue|proceed|carry on|keep going|keep at it|resume|next|yes|y|yep|yeah|sure|do it|go ahead|\
    onward|all of them|everything|the rest|finish|weiter|mach|ja|los|alles|fortfahren|rest|continuez|vas-y|oui|\
    allez-y|tout|la suite|sigue|continua|adelante|dale|si|todo|segue|sim|tudo|vai|pode seguir|avanti|vai avanti|\
    tutto|procedi|ga verder|verder|doorgaan|ga door|dalej|kontynuuj|tak|wszystko|jedz|devam|devam et|evet|hepsini|\
    tamamini|дальше|продолжай|да|давай|все|继续|接着|好|可以|全部|都|続けて|続き|はい|お願い|進めて|계속|네|응|\
    진행|전부|다";

const TELL: &str = "\
    explain|describe|tell me|show me|summarize|summarise|list|review|status|walk me|compare|give me|check|look at|\
    plan|think|propose|suggest|estimate|overview|eta|opinion|erklar|erklare|beschreib|sag mir|zeig|zahl|stand|\
    uberblick|vergleich|prufe|explique|decris|dis-moi|montre|resume|etat|explica|explicame|dime|muestra|resumen|\
    estado|explicar|me diz|diga|mostra|resumo|situacao|spiega|spiegami|dimmi|mostrami|riassumi|stato|leg uit|\
    vertel|laat zien|overzicht|wyjasnij|powiedz|pokaz|opisz|podsumuj|acikla|anlat|goster|soyle|ozet|durum|объясни|\
    расскажи|покажи|опиши|статус|скажи|解释|说明|讲|列|看看|总结|状态|评估|説明|教えて|見せて|まとめて|状況|\
    レビュー|설명|알려|보여|요약|상태|검토|\
    assess|analyze|analyse|talk me|set out|identify|specify|clarify|outline|recommend|advise|brief|remind me|\
    put the pros|pros and cons|bewerte|analysiere|nenne|erlautern sie|analyse|expliquez|compara|analiza|\
    explicarme|proponme|analisa|analizza|confronta|vergelijk|beoordeel|przeanalizuj|porownaj|wyjasnic|karsilastir|\
    degerlendir|сравни|оцени|проанализируй|分析|比较|提出意见|比較|評価|분석|비교|평가";

const DO: &str = "\
    fix|implement|add|write|make|do|execute|build|create|update|migrate|refactor|rename|remove|delete|replace|\
    port|convert|run|finish|complete|deploy|merge|rebase|bump|install|set up|wire|clean|move|repair|change|apply|\
    release|publish|commit|push|upgrade|extend|translate|sort|work through|get it|take care|handle|undo|revert|\
    rewrite|generate|integrate|split|extract|document|test|speed up|solve|help me|i need|i want|please|behebe|\
    behebt|implementiere|fuge|schreib|schreibe|mach|mache|fuhre|baue|bau|erstelle|aktualisiere|migriere|benenne|\
    entferne|losche|ersetze|ubersetze|repariere|andere|setz|setze|zieh|umsetzen|durchziehen|erledige|erledigen|\
    einbauen|beheben|corrige|corriger|ajoute|ajouter|ecris|fais|faire|executer|cree|creer|mets|supprime|remplace|\
    traduis|deplace|repare|lance|termine|nettoie|implemente|migre|passe|arregla|anade|agrega|escribe|haz|hace|\
    hazme|ejecuta|crea|actualiza|migra|borra|quita|cambia|reemplaza|traduce|mueve|pon|pone|completa|cierra|limpia|\
    sube|corrija|conserta|arruma|adiciona|acrescenta|escreve|faz|faca|executa|cria|atualiza|apaga|troca|muda|\
    traduz|termina|fecha|sistema|correggi|aggiungi|scrivi|fai|fa|esegui|aggiorna|elimina|togli|sostituisci|\
    traduci|sposta|metti|finisci|chiudi|ripara|herstel|voeg|schrijf|doe|voer|maak|werk|verwijder|vervang|vertaal|\
    verplaats|zet|los|pas|repareer|rond|napraw|dodaj|napisz|zrob|wykonaj|stworz|utworz|zaktualizuj|usun|zamien|\
    przetlumacz|przenies|popraw|zmien|dokoncz|wdroz|przepisz|duzelt|ekle|yaz|yap|uygula|olustur|guncelle|sil|\
    kaldir|degistir|cevir|tasi|bitir|tamamla|onar|kur|исправь|исправить|почини|добавь|добавить|напиши|написать|\
    сделай|сделать|выполни|выполнить|создай|обнови|удали|замени|переведи|перенеси|закончи|доделай|реализуй|\
    перепиши|修复|修|实现|加|写|做|执行|建|更新|迁移|删|替换|改|翻译|完成|弄|搞|重构|部署|合并|把|帮我|直して|\
    修正|実装|追加|書いて|作って|作成|実行|更新して|削除|置き換え|移行|終わらせ|やって|して|お願いします|ください|\
    고쳐|구현|추가|작성|써줘|만들어|실행|업데이트|삭제|바꿔|옮겨|끝내|완료|해줘|해주세요|처리|주세요|하세요|\
    optimize|optimise|prepare|configure|enable|disable|switch|set|pin|rotate|restructure|rework|redesign|rebuild|\
    restore|bring|put|get|take|turn|drop|correct|proofread|purge|download|upload|reset|center|align|simplify|\
    improve|train|draft|clear|close|connect|hook up|increase|decrease|reduce|raise|lower|debug|investigate|kindly|\
    reproduce|support|allow|let's|lets|vervollstandige|bereite|richte|stelle|stell|schliesse|losch|trag|trainier|\
    spiel|nimm|rechne|erganze|korrigiere|verschiebe|optimiere|bitte|fertig machen|fertigstellen|weitermachen|\
    einrichten|ausfuhren|abarbeiten|prepare|accelere|genere|configure|regle|remets|renomme|publie|mettez|faites|\
    ajoutez|corrigez|supprimez|relancez|creez|ecrivez|executez|terminez|veuillez|installe|deploie|optimise|\
    prepara|configura|genera|ordena|saca|remata|deja|optimiza|instala|despliega|implementa|revierte|ejecutar|\
    prepare|proceda|corregir|poe|coloca|prossegue|processa|conclui|concluir|otimiza|ajusta|resolve|avanca|\
    implementa|configure|instala|rifai|prepara|passiamo|implementa|ottimizza|predisponga|proceda|configura|\
    installa|pubblica|risolvi|vul|haal|breng|stel|draai|bouw|pas aan|zoek uit|afronden|afwerken|uitvoeren|\
    przygotuj|zloz|wgraj|wlacz|wylacz|podepnij|skonfiguruj|zbuduj|uruchom|prosze|dokonczyc|wyslij|zrobmy|hazirla|\
    baslat|indir|yukle|donustur|yenile|temizle|ekleyelim|yapalim|alalim|gider|подними|поправь|подключи|собери|\
    залей|переделай|настрой|запусти|доведи|разберись|почините|исправьте|сделайте|добавьте|прошу|оптимизируй|\
    установи|измени|优化|整理|编译|生成|配置|安装|发布|提交|修改|处理|解决|添加|调整|升级|整理|仕上げ|替えて|\
    変えて|追加して|対応して|作り直|最適化|しましょう|したい|만들고|붙여|넣어|마무리|수정해|정리해|부탁|올려|해라|\
    하자";

const LATER: &str = "\
    leave|not today|later|tomorrow|monday|tuesday|next week|wait for|don't push|do not push|no push|don't send|\
    do not send|then wait|before you|out of scope|not yet|for now|hold off|ask me|let me look|let me see|so i can|\
    i'll review|my ok|my approval|lass|morgen|montag|noch nicht|warte|danach|den rest|nicht pushen|nicht heute|\
    laisse|demain|lundi|plus tard|attends|pas encore|le reste|deja|dejalo|manana|lunes|luego|espera|todavia no|\
    el resto|ni lo|deixa|amanha|segunda|depois|ainda nao|o resto|lascia|domani|lunedi|dopo|aspetta|non ancora|\
    il resto|laat|maandag|wacht|nog niet|de rest|zostaw|jutro|poniedzialek|pozniej|czekaj|jeszcze nie|reszta|\
    reszte|birak|yarin|pazartesi|sonra|bekle|henuz|gerisi|gerisini|kalani|оставь|завтра|понедельник|потом|подожди|\
    пока|остальное|明天|周一|以后|等我|不要推|别推|不做|不用|明日|月曜|後で|待って|残りは|まだ|내일|월요일|나중|\
    기다|아직|말고|\
    the rest stays|stays for|hold the rest|for this week|the remaining|will be undertaken|before anyone|next pr|\
    and end the turn|and then i|der rest|schau ich mir|bespreche ich|les autres|los demas|os outros|gli altri|\
    de andere|pozostale|sonrasi|остальные|дальше не|剩下|节后|別の人|보고 나서|나머지는";

const ALL: &str = "\
    all|everything|whole|entire|the lot|to the end|every|both|rest of|remaining|until green|until all|alle|alles|\
    ganze|ganzen|komplett|bis zum ende|restlichen|tout|toutes|tous|entier|jusqu'au bout|todo|todos|todas|entero|\
    hasta el final|tudo|inteiro|ate o fim|tutto|tutti|tutte|fino in fondo|allemaal|hele|tot het eind|wszystko|\
    wszystkie|caly|do konca|hepsi|hepsini|tum|tamami|sonuna kadar|все|весь|до конца|целиком|全部|所有|都|到底|\
    整个|すべて|全て|最後まで|모두|전부|끝까지|전체|\
    completely|in full|until done|until it works|no matter|end to end|vollstandig|bis schluss|gesamte|\
    integralement|en entier|completo|integralmente|ate ao fim|ate a ultima|fino alla fine|volledig|volledige|\
    wszystkich|w calosci|butun|tamamen|полностью|всех|до последн|做完|다 고쳐|모든";

const COURTESY: &str = "\
    thanks|thank you|thx|great|nice|good morning|hello|hi|hey|fyi|lol|haha|danke|super|hallo|moin|guten|merci|\
    bonjour|salut|parfait|gracias|hola|buenos|genial|obrigado|obrigada|oi|bom dia|grazie|ciao|buongiorno|bedankt|\
    dank|hoi|dzieki|dziekuje|czesc|tesekkurler|sagol|merhaba|selam|спасибо|привет|здравствуйте|谢谢|你好|辛苦|\
    ありがとう|おはよう|お疲れ|감사|고마|안녕|수고";

const PLAN: &str = "\
    md|plan|todo|todos|roadmap|checklist|backlog|tasks|spec|steps|phases|tickets|issue|issues|boxes|milestone|\
    schritte|aufgaben|aufgabenliste|liste|etapes|taches|pasos|tareas|lista|passos|tarefas|passi|compiti|stappen|\
    taken|kroki|zadania|adimlar|gorevler|план|плану|шаги|задачи|список|计划|步骤|清单|任务|計画|手順|タスク|\
    チェックリスト|계획|단계|목록|작업";

const ENDS: &str = "\
    that's all|thats all|that's it|and no more|nothing on top|nothing outside|not the|but not|no more|hands off|\
    without|except|then over to me|is on me|is mine|i do|i'll do|i'll take|i want to try|mehr nicht|aber nicht|\
    nicht mehr|ohne|mache ich|mach ich|rest mache ich|pas plus|mais pas|sans|c'est tout|je m'en occupe|moi|y ya|\
    no la|sin|yo me|lo hago yo|e so|sem|eu faco|mas nao|e basta|non la|senza|ci penso io|e fermati|meer niet|\
    maar niet|zonder|doe ik|i tyle|bez|ja zrobie|ale nie|yeter|ama|ben yaparim|cozumu verme|и все|но не|без|я сам|\
    就好|就够|不要|我自己|我来|なし|いらない|自分で|私がやる|빼고|말고|내가|\
    et rien|and nothing";

const NOT: &str = "\
    not|don't|dont|never|without|except|nicht|kein|keine|ohne|ne|pas|sans|sauf|no|ni|sin|nao|sem|non|senza|niet|\
    geen|zonder|nie|bez|degil|не|без|кроме|不|别|ない|なし|말|skip|but";

const STANDING: &str = "\
    one step per turn|one task per turn|one item per turn|one box per turn|one file per turn|one point per turn|\
    one step at a time|one item at a time|one file at a time|one box at a time|one task at a time|\
    one task each time|after each one stop|stop whenever you finish one|pause after each|\
    pause after every|stop when you finish one|eine aufgabe pro|einen punkt pro|nach jeder aufgabe|nach jedem punkt|\
    une tache par|une tache a la fois|apres chaque tache|una tarea por|una tarea a la vez|de una en una|de uno en uno|despues de cada tarea|\
    uma tarefa por|uma tarefa de cada vez|depois de cada tarefa|un compito alla volta|una cosa alla volta|uno alla volta|una alla volta|un pezzo alla volta|un punto alla volta|\
    dopo ogni compito|dopo ogni punto|een taak per|een taak tegelijk|na elke taak|jedno zadanie na|po kazdym zadaniu|\
    her gorevden sonra|birer birer|по одной задаче|после каждой задачи|после каждого пункта|每做完一个|每完成一个|每做完一项|\
    一件一件|一つ終わるごと|1つ終わるごと|一つ終わったら|하나 끝날 때마다|하나 끝나면|one at a time|one by one|one per turn|\
    step by step and wait|stop after each|stop after every|wait after each|wait after every|after each step|\
    after every step|between steps|einen schritt pro|ein schritt pro|nach jedem schritt|schritt fur schritt und|\
    une etape par|une etape a la fois|apres chaque etape|un paso por|un paso a la vez|despues de cada paso|\
    um passo por|um passo de cada vez|depois de cada passo|un passo alla volta|un passo per|dopo ogni passo|\
    een stap per|een stap tegelijk|na elke stap|jeden krok na|po kazdym kroku|po jednym kroku|her adimdan sonra|\
    tek tek|adim adim ve|по одному шагу|один шаг за|после каждого шага|一步一步|每一步|每步|一次一步|一次只做|\
    一つずつ|一個ずつ|各ステップ|ステップごと|하나씩|단계마다|\
    각 단계|한 단계씩|1ステップずつ|\
    stop and check|check in with me|stop and ask|and then ask me|before you commit|before committing|then stop and|\
    dann fragst du|frag mich|fragst du mich|halte danach|demande-moi avant|pregunta antes|preguntame|me pergunta|\
    pergunte antes|chiedimi|overleg|eerst even overleggen|zapytaj mnie|zatrzymaj|sie zatrzymaj|bana sor|dur bana|спроси меня|\
    остановись после|сначала спроси|止まって|確認とって|先问我|问我再|물어보고|멈추고";

const GOES_ON: &str = "\
    don't stop|do not stop|until done|until it's done|until it is done|until you're done|until everything is done|\
    nicht aufhoren|bis zum ende|bis alles fertig ist|ne t'arrete pas|jusqu'au bout|no pares|hasta terminar|\
    hasta el final|nao pare|ate terminar|ate o fim|non fermarti|fino alla fine|niet stoppen|tot het klaar is|\
    nie przestawaj|do konca|durma|bitene kadar|не останавливайся|до конца|\
    go|go on|going|keep going|continue|please|pls|proceed|carry on|resume|yes|y|yep|yeah|yup|sure|do it|do that|\
    go ahead|onward|next|now|ok|okay|with it|with that|and|then|weiter|mach weiter|weitermachen|ja|bitte|los|gut|\
    fortfahren|mach das|continuez|vas-y|allez-y|oui|s'il te plait|stp|sigue|continua|adelante|dale|si|por favor|\
    segue|prossiga|sim|pode|continuar|pode continuar|vai|avanti|vai avanti|procedi|prosegui|per favore|ga verder|\
    verder|doorgaan|ga door|alsjeblieft|graag|dalej|kontynuuj|tak|prosze|lec dalej|devam|devam et|evet|lutfen|\
    hadi|дальше|продолжай|продолжайте|да|давай|давай дальше|пожалуйста|继续|请继续|接着|接着做|好|好的|可以|行|吧|\
    请|続けて|続けてください|はい|お願いします|進めて|進めてください|계속|계속해|계속해줘|계속해주세요|네|응|\
    진행해|진행해줘|진행해주세요|next one|the next one|the next|next step|next task|nachster|nachste|nachstes|der nachste|\
    das nachste|la suivante|le suivant|suivante|suivant|la siguiente|el siguiente|siguiente|venga|a proxima|o proximo|\
    proxima|proximo|il prossimo|la prossima|prossimo|prossima|de volgende|volgende|nastepny|nastepne|nastepna|\
    siradaki|sonraki|следующий|следующая|следующее|далее|下一个|下一项|下一步|次|次へ|次お願いします|다음|다음 것|다음 거";

const APPROVES: &str = "\
    yes|y|yep|yeah|ok|okay|sure|good|fine|great|perfect|agreed|approved|lgtm|sounds good|looks good|good plan|\
    the plan|plan|that|is|ja|gut|passt|einverstanden|klingt gut|oui|d'accord|parfait|si|vale|perfecto|de acuerdo|\
    sim|perfeito|va bene|perfetto|goed|akkoord|tak|dobrze|zgoda|evet|tamam|olur|да|хорошо|согласен|好|好的|可以|\
    行|同意|はい|いいですね|了解|네|좋아|좋아요|그래";

const DO_STRICTLY: &str = "\
    execute|implement|work through|carry out|complete|finish|build|please execute|please implement|\
    please work through|please finish|go through|arbeite|setze|fuhre|realise|termine|ejecuta|implementa|completa|\
    executa|implemente|esegui|voer|werk|wykonaj|zrealizuj|uygula|tamamla|выполни|реализуй|сделай|执行|完成|实现|\
    実行|실행";

const TELL_STRICTLY: &str = "\
    explain|status|summarize|review|write a handoff|handoff|plan for|draft";

const REQUEST: &str = "\
    can you|could you|would you|will you|can we|could we|would you kindly|would you mind|kannst du|konntest du|konnen sie|\
    konnten sie|wurdest du|wurden sie|peux-tu|tu peux|pouvez-vous|pourrais-tu|pourriez-vous|auriez-vous|tu pourrais|\
    puedes|podrias|puede|podria|me puedes|podes|pode|poderia|voce pode|consegues|agradecia|puoi|potresti|puo|potrebbe|\
    kun je|kunt u|wil je|wilt u|zou je|zou u|czy mozesz|czy moglbys|czy moge prosic|mozesz|moglbys|uprzejmie|\
    можешь|можете|мог бы|могли бы|не мог бы|能不能|能否|可以帮|麻烦|请您|もらえます|いただけ|くれる|くれません|\
    해줄 수|해주실|주실 수|줄래|주시겠";

const WISH: &str = "\
    i want|i need|i'd like|i would like|we need|we have to|we want|we should|should be|should have|let's|lets|\
    ich will|ich mochte|ich brauche|wir brauchen|wir mussen|wir wollen|soll weg|muss|je veux|je voudrais|j'aimerais|\
    on a besoin|il faut|il faudrait|quiero|quisiera|necesito|necesitamos|hay que|queremos|quero|queria|preciso|precisamos|\
    voglio|vorrei|serve|dobbiamo|bisogna|ik wil|wij wensen|we moeten|we willen|ik heb nodig|chce|chcialbym|potrzebujemy|\
    trzeba|istiyorum|istiyoruz|lazim|gerekiyor|хочу|хотим|нужно|надо|давайте|我想|我要|我们需要|需要|希望|たい|ほしい|\
    필요|싶어|싶습니다|하고 싶";

const WRITE: &str = "\
    write|please write|draft|please draft|prepare|please prepare|leave|jot down|note down|note|put down|put together|\
    record|summarize|summarise|sum up|can you write|could you write|notiere|halte|halt|fass|fasse|bitte fasse|dokumentiere|fertige|bitte fertige|bitte fertigen|schreib|schreibe|bitte schreib|erstelle|verfasse|\
    hinterlasse|redige|ecris|laisse|note|resume|fais|consigne|escribe|redacta|prepara|deja|anota|apunta|resume|haz|escreve|escreva|deixa|anota|anote|resuma|faz|scrivi|lascia|annota|riassumi|fai|schrijf|maak|noteer|zet|vat|\
    napisz|zapisz|spisz|przygotuj|podsumuj|zostaw|напиши|запиши|составь|оставь|подведи|опиши";

const WRITE_ANYWHERE: &str =
    "写|書|记|記|整理|まとめ|작성|써|적어|정리|남겨|yaz|yazar misin|hazirla|birak|not et|ozetle";

const HANDOFF: &str = "\
    handoff note|handoff notes|hand off note|handover note|handover notes|handover document|handoff document|\
    a handoff|a handover|the handoff|the handover|note for the next session|notes for the next session|ubergabe|\
    ubergabenotiz|note de passation|passation|nota de traspaso|notas de traspaso|traspaso|nota de passagem|\
    notas de passagem|passagem de servico|passaggio di consegne|overdracht|overdrachtsnotitie|notatke przekazania|\
    передаточную записку|заметку для следующей|devir notu|交接|引き継ぎ|引継ぎ|인수인계|\
    where we stand|where we are|where things stand|where you are|where you left off|how far we are|how far you got|\
    state of the work|for the next session|for the next person|for the next shift|for whoever|for my colleague|\
    for a colleague|so that tomorrow|can pick it up|can pick up|can take over|takes over|took over|\
    for tomorrow|what is left to do|\
    vermerk|sachstand|sachstandsvermerk|statusvermerk|fur die nachfolge|wo wir stehen|wie weit wir sind|wie weit du bist|was noch fehlt|was noch offen ist|stand der arbeit|stand der dinge|\
    zwischenstand|fur die nachste sitzung|fur die nachste session|fur meinen kollegen|fur meine kollegin|\
    fur den nachsten|ubernimmt|weitermachen kann|\
    ou on en est|ou nous en sommes|ou tu en es|ce qui reste|etat d'avancement|etat des lieux|pour la prochaine session|\
    pour la session suivante|pour mon collegue|pour ma collegue|prend le relais|prendra le relais|reprend demain|\
    puisse reprendre|puisse continuer|\
    donde estamos|como vamos|por donde vamos|lo que falta|lo que queda|estado del trabajo|para la proxima sesion|\
    para la siguiente sesion|para mi companero|para mi companera|sigue manana|continua manana|pueda seguir|\
    pueda continuar|\
    onde estamos|onde paramos|em que ponto|o que falta|estado do trabalho|para a proxima sessao|para meu colega|\
    para minha colega|assume amanha|continua amanha|possa continuar|\
    dove siamo|a che punto siamo|come siamo messi|cosa resta|cosa manca|stato dei lavori|per la prossima sessione|\
    per il collega|per la collega|per chi continua|prosegue|domani continua|possa continuare|\
    waar we staan|waar we zijn|hoe ver we zijn|wat er nog moet|stand van zaken|voor de volgende sessie|\
    voor mijn collega|neemt het over|verder kan|\
    gdzie stoimy|na czym stoimy|gdzie jestesmy|co zostalo|stan prac|dla nastepnej sesji|na nastepna sesje|\
    dla kolegi|dla kolezanki|przejmuje|przejmie|mogl kontynuowac|mogla kontynuowac|\
    nerede kaldigimizi|nerede oldugumuzu|neler kaldigini|sonraki oturum icin|bir sonraki oturum|\
    arkadasim icin|devralacak|devraliyor|devam edebilsin|\
    на чем остановились|где мы остановились|где мы стоим|что осталось|состояние работ|для следующей сессии|\
    для следующего сеанса|для коллеги|для сменщика|подхватит|принимает смену|\
    进度写|写下进度|目前的进度|做到哪|下一个会话|下次会话|下一位|接手|接班|留给同事|给同事|\
    現状を|現在の状況を|どこまで進んだ|次のセッション|次の担当|後任|明日から|\
    어디까지 했는지|현재 상태를|다음 세션|다음 담당자|후임|이어받|동료에게";

#[cfg(test)]
mod tests {
    use super::super::reading::PromptReading;
    use super::*;

    #[test]
    fn every_phrase_is_found_as_prompts_are_read() {
        for (number, list) in LISTS.iter().enumerate() {
            for phrase in list.split('|') {
                let reading = PromptReading::of_words(&format!("{phrase} \u{2192}"));
                let first = reading.begins_first();
                assert!(first.0 & (1 << number) != 0, "{phrase:?} of list {number} is never found: {reading:?}");
                let longer = PromptReading::of_words(&format!("x{phrase}x"));
                assert!(phrase.starts_with(is_unspaced) || longer.begins_first().0 & (1 << number) == 0, "{phrase:?}");
            }
        }
        assert!(COUNT > 1_500 && INDEX.starts[BUCKETS] as usize == COUNT);
    }
}
