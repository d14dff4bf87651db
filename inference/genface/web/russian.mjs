// @ts-check
/** The page in Russian. */

import { fileName } from "./file-name.mjs";

/** @type {typeof import("./english.mjs").ENGLISH} */
export const RUSSIAN = {
  otherLanguage: "English",
  notice: "Создано машиной. Все картинки рисует нейросеть, прямо на вашем устройстве. Ни одна из них не фотография.",
  size: (side) => `${side} × ${side} пикселей`,

  loading: (loaded, total) => `Загружается модель: ${loaded} из ${total}`,
  preparing: "Подготовка к рисованию",
  drawnIn: (count, seconds) => `Лиц: ${count}, за ${seconds} с`,

  portrait: "Выбранное лицо",
  save: "Сохранить PNG",
  copyLink: "Ссылка",
  pick: "Отобрать",
  picked: "Отобрано",
  saved: (name) => `Сохранено как ${name}`,
  linkCopied: "Ссылка на этот вид скопирована",
  linkInAddress: "Браузер не даёт странице копировать: ссылка стоит в адресной строке",

  directions: "Изменить это лицо",
  directionsHint: "Вдоль направлений, в которых лица этой модели различаются сильнее всего.",
  direction: (number) => `Направление ${number}`,
  reset: "Сбросить",

  wallForm: "Какие лица",
  seed: "Зерно",
  face: "Лицо",
  show: "Показать",
  newSeed: "Новое зерно",
  badNumber: (field, most) => `${field}: целое число от 0 до ${most}`,
  wall: (seed, first, last) => `Лица ${first}–${last}, зерно ${seed}`,
  wallHint: "Выберите лицо, чтобы увидеть его крупно; отберите несколько знаком +, чтобы пройти от одного к другому.",
  wallKeys: "По стене ведут клавиши со стрелками.",
  earlier: "Назад",
  later: "Дальше",
  truncation: "Усечение",
  truncationHint: "Чем меньше, тем типичнее лица.",
  noTruncation: "нет",

  tray: "Между лицами",
  trayHint: "Отберите знаком + два лица или больше, чтобы пройти от одного к другому и смешать их.",
  trayFull: (most) => `Отобрать можно не больше ${most} лиц`,
  walk: "Путь",
  play: "Пуск",
  pause: "Пауза",
  step: "Шаг",
  mixEvenly: "Смешать поровну",
  mixHint: "Или задайте долю каждого лица ползунком под ним.",
  share: "Доля",
  remove: "Убрать",
  clear: "Очистить",

  card: "О модели",
  cardRows: {
    file: "Файл",
    architecture: "Архитектура",
    dataset: "Обучена на",
    licence: "Лицензия",
    images_seen: "Изображений при обучении",
    size: "Картинка",
    made: "Кем создано",
    model_sha256: "SHA-256 файла",
    checkpoint_sha256: "SHA-256 контрольной точки",
  },
  made: "машиной: сохранённые здесь картинки сообщают об этом в своих метаданных",
  drawnBy: (provider, threads, milliseconds) =>
    `Drawn here by ${provider === "webgpu" ? "WebGPU" : `WebAssembly, потоков: ${threads}`}, ${milliseconds} мс на лицо`,
  scores: "Оценки",
  version: (version) => `Сделано с помощью genface ${version}.`,

  name: (recipe) => {
    switch (recipe.kind) {
      case "face":
        return `Лицо ${recipe.index}, зерно ${recipe.seed}`;
      case "walk":
        return `В пути: ${recipe.at.toFixed(2).replace(".", ",")} из ${recipe.through.length - 1}`;
      case "mix":
        return `Смесь, лиц: ${recipe.of.length}`;
    }
    return `${RUSSIAN.name(recipe.from)}, с изменениями`;
  },
  inArchive: (seed, index) => `${fileName(index)} в архиве с зерном ${seed}`,
  badLink: (parts) => `Часть ссылки непонятна и пропущена: ${parts}`,
  linkTooLong: "Столько в ссылку не поместится. Отберите лица на стене.",

  reload: "Попробовать снова",
  problems: {
    "site-missing": {
      title: "У этой страницы нет site.json",
      text: "В нём сказано, какой моделью рисовать, но там, где страница его ищет, его нет.",
      remedy: "Создайте папку заново командой ниже и загрузите её целиком.",
    },
    "site-broken": {
      title: "site.json непригоден",
      text: "Он повреждён или записан другой версией genface, чем эта страница.",
      remedy: "Создайте папку заново командой ниже и загрузите её целиком.",
    },
    missing: {
      title: "Модели нет на месте",
      text: "Её файл не удаётся получить из папки этой страницы.",
      remedy: "Проверьте, загружен ли он вместе со страницей, или создайте папку заново командой ниже.",
    },
    broken: {
      title: "Модель повреждена",
      text: "Получен не тот файл, который описан в site.json: он обрезан, изменён или заменён.",
      remedy: "Попробуйте снова; если не поможет, создайте папку заново командой ниже и загрузите её целиком.",
    },
    foreign: {
      title: "Эта модель не подходит странице",
      text: "Она принимает или выдаёт не то, что сказано в site.json.",
      remedy: "Создайте папку для этой модели командой ниже.",
    },
    runtime: {
      title: "Этот браузер не может нарисовать лица",
      text: "Среда исполнения не запустилась или отказала: не хватает WebAssembly, памяти или одного из её файлов.",
      remedy: "Попробуйте снова, закройте другие вкладки или возьмите свежий Firefox, Chrome, Edge или Safari.",
    },
  },
};
